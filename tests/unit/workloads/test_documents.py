"""Pods and Events as documents."""

from skep.workloads.documents import event_again, event_document, pod_document, pod_facts

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "uid": "d"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
            "spec": {"containers": [{"name": "web", "somethingNew": 1}]},
        }
    },
}


def test_pod_is_made_of_the_template_as_written() -> None:
    pod = pod_document(DEPLOYMENT, "web-1", "here", "abc", "now")
    assert pod["spec"] == {"containers": [{"name": "web", "somethingNew": 1}], "nodeName": "here"}
    assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": "abc"}
    facts = pod_facts(pod, 5)
    assert (facts.owner, facts.owner_uid, facts.node, facts.template_hash) == ("web", "d", "here", "abc")
    assert facts.ready_since is None


def test_pod_without_an_owner_or_a_status_is_read() -> None:
    facts = pod_facts({"metadata": {"name": "x"}}, 1)
    assert (facts.owner, facts.node, facts.ready_since) == ("", "", None)


def test_ready_since_is_read_and_a_strange_time_counts_as_long_ago() -> None:
    for text, year in (("2026-01-01T00:00:00Z", 2026), ("yesterday", 1)):
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": text}
        facts = pod_facts({"metadata": {"name": "x"}, "status": {"conditions": [condition]}}, 1)
        assert facts.ready_since is not None
        assert facts.ready_since.year == year


def test_repeated_events_share_a_name_and_are_counted() -> None:
    one = event_document(DEPLOYMENT, "Scaled", "up", "t0")
    again = event_document(DEPLOYMENT, "Scaled", "up", "t1")
    other = event_document(DEPLOYMENT, "Scaled", "down", "t1")
    assert one["metadata"]["name"] == again["metadata"]["name"] != other["metadata"]["name"]
    assert event_document(DEPLOYMENT, "Started", "x", "t0", teller="me")["source"] == {"component": "me"}
    counted = event_again(one, "t1")
    assert (counted["count"], counted["firstTimestamp"], counted["lastTimestamp"]) == (2, "t0", "t1")
