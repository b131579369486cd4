"""When conditions turned."""

from typing import Any

from skep.pipeline.conditions import with_times


def condition(kind: str, status: str, **more: str) -> dict[str, Any]:
    return {"type": kind, "status": status, **more}


def test_a_condition_keeps_its_time_until_its_status_turns() -> None:
    first = with_times({"conditions": [condition("Accepted", "True", message="x")]}, {}, "t1")
    assert first["conditions"][0]["lastTransitionTime"] == "t1"
    second = with_times({"conditions": [condition("Accepted", "True", message="y")]}, first, "t2")
    assert second["conditions"][0] == condition("Accepted", "True", message="y", lastTransitionTime="t1")
    third = with_times({"conditions": [condition("Accepted", "False")]}, second, "t3")
    assert third["conditions"][0]["lastTransitionTime"] == "t3"


def test_parents_are_matched_by_reference_and_other_controllers_are_kept() -> None:
    def parent(name: str, status: str, controller: str = "us") -> dict[str, Any]:
        return {
            "parentRef": {"name": name, "kind": "Gateway"},
            "controllerName": controller,
            "conditions": [condition("Accepted", status)],
        }

    former = with_times({"parents": [parent("a", "True"), parent("b", "False")]}, {}, "t1")
    foreign = {**parent("z", "True", "them"), "conditions": [condition("Accepted", "True", lastTransitionTime="t0")]}
    former["parents"].append(foreign)
    now = with_times({"parents": [parent("b", "True"), parent("a", "True")]}, former, "t2")
    times = [(entry["parentRef"]["name"], entry["conditions"][0]["lastTransitionTime"]) for entry in now["parents"]]
    assert times == [("b", "t2"), ("a", "t1"), ("z", "t0")]


def test_listeners_are_matched_by_name() -> None:
    listeners = [{"name": "http", "conditions": [condition("Programmed", "True")]}]
    former = with_times({"listeners": listeners}, {}, "t1")
    assert with_times({"listeners": listeners}, former, "t2") == former
