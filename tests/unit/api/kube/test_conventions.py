"""The resource API keeps Kubernetes' conventions: what tools and programs written for it rely on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from skep.api.parts import LogQuery
from skep.auth.policy import Role
from skep.model.instance import Instance
from skep.model.names import InstanceId, Namespace, ServiceName
from skep.store.backend import Key
from skep.store.objects import create_object, encode
from tests.support.local_api import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC,
    LocalApi,
    config_map,
    deployment,
    http_route,
    local_api,
    service,
)

SERVICES = "/api/v1/namespaces/default/services"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


@pytest.fixture
def api() -> Iterator[LocalApi]:
    with local_api() as opened:
        yield opened


def refused(response: Any, code: int, reason: str) -> dict[str, Any]:
    status: dict[str, Any] = response.json()
    assert (response.status_code, status["reason"], status["code"]) == (code, reason, code), response.text
    return status


def causes(status: dict[str, Any]) -> dict[str, str]:
    return {cause["field"]: cause["reason"] for cause in status["details"]["causes"]}


def test_created_object_has_identity_and_is_read_back_as_answered(api: LocalApi) -> None:
    made = api.create(SERVICES, service(selector={"app": "web"}))
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["generation"] == 1
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) == api.revision
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert api.get(f"{SERVICES}/web") == made


def test_second_create_of_a_name_is_refused(api: LocalApi) -> None:
    api.create(SERVICES, service())
    status = refused(api.call("POST", SERVICES, service()), 409, "AlreadyExists")
    assert status["message"] == 'services "web" already exists'
    assert status["details"] == {"name": "web", "kind": "services"}


def test_generated_names_differ(api: LocalApi) -> None:
    document = config_map()
    document["metadata"] = {"generateName": "settings-"}
    names = {api.create(CONFIG_MAPS, document)["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("settings-") for name in names)


def test_generation_rises_with_the_spec_only(api: LocalApi) -> None:
    made = api.create(SERVICES, service())
    made["metadata"]["labels"] = {"a": "b"}
    labelled = api.call("PUT", f"{SERVICES}/web", made).json()
    assert labelled["metadata"]["generation"] == 1
    labelled["spec"]["ports"][0]["port"] = 81
    changed = api.call("PUT", f"{SERVICES}/web", labelled).json()
    assert changed["metadata"]["generation"] == 2
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]


def test_update_of_a_stale_revision_is_refused_and_one_without_revision_is_taken(api: LocalApi) -> None:
    made = api.create(SERVICES, service())
    api.call("PATCH", f"{SERVICES}/web", {"metadata": {"labels": {"a": "b"}}}, media=MERGE_PATCH)
    status = refused(api.call("PUT", f"{SERVICES}/web", made), 409, "Conflict")
    assert "the object has been modified" in status["message"]
    del made["metadata"]["resourceVersion"]
    assert api.call("PUT", f"{SERVICES}/web", made).status_code == 200


def test_update_that_changes_nothing_writes_nothing(api: LocalApi) -> None:
    made = api.create(SERVICES, service())
    before = api.revision
    assert api.call("PUT", f"{SERVICES}/web", made).json() == made
    assert api.call("PATCH", f"{SERVICES}/web", {}, media=STRATEGIC).json() == made
    assert api.revision == before


def test_update_of_another_uid_is_refused(api: LocalApi) -> None:
    made = api.create(SERVICES, service())
    made["metadata"]["uid"] = "another"
    refused(api.call("PUT", f"{SERVICES}/web", made), 409, "Conflict")


def test_status_is_written_at_its_own_path_only(api: LocalApi) -> None:
    made = api.create(DEPLOYMENTS, {**deployment(), "status": {"replicas": 9}})
    assert "status" not in made
    made["status"] = {"replicas": 3}
    assert "status" not in api.call("PUT", f"{DEPLOYMENTS}/web", made).json()
    made["spec"]["replicas"] = 5
    after = api.call("PUT", f"{DEPLOYMENTS}/web/status", made).json()
    assert after["status"] == {"replicas": 3}
    assert after["spec"]["replicas"] == 1
    assert after["metadata"]["generation"] == 1


def test_every_violation_is_named_with_its_path(api: LocalApi) -> None:
    bad = http_route("Bad_Name")
    bad["metadata"]["labels"] = {"ok": "no spaces"}
    bad["spec"]["rules"][0]["matches"][0]["path"]["type"] = "Nope"
    bad["spec"]["rules"][0]["backendRefs"][0]["port"] = "80"
    status = refused(api.call("POST", ROUTES, bad), 422, "Invalid")
    assert status["details"]["kind"] == "HTTPRoute"
    assert causes(status) == {
        "metadata.labels[ok]": "FieldValueInvalid",
        "metadata.name": "FieldValueInvalid",
        "spec.rules[0].backendRefs[0].port": "FieldValueTypeInvalid",
        "spec.rules[0].matches[0].path.type": "FieldValueNotSupported",
    }
    assert 'HTTPRoute.gateway.networking.k8s.io "Bad_Name" is invalid: [' in status["message"]


def test_unknown_fields_are_refused_warned_of_or_ignored_as_asked(api: LocalApi) -> None:
    document = service(colour="red")
    document["metadata"]["shape"] = "round"
    strict = refused(api.call("POST", f"{SERVICES}?fieldValidation=Strict", document), 400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.colour", unknown field "metadata.shape"' in strict["message"]
    assert set(causes(strict)) == {"spec.colour", "metadata.shape"}
    warned = api.call("POST", f"{SERVICES}?dryRun=All", document)
    assert '299 - "unknown field \\"spec.colour\\""' in warned.headers.get_list("warning")
    ignored = api.call("POST", f"{SERVICES}?dryRun=All&fieldValidation=Ignore", document)
    assert ignored.status_code == 201
    assert "warning" not in ignored.headers


def test_fields_given_twice_are_refused_warned_of_or_ignored_as_asked(api: LocalApi) -> None:
    body = b'{"metadata":{"name":"web"},"spec":{"ports":[{"port":1,"port":80}],"type":"ClusterIP","type":"ClusterIP"}}'
    strict = refused(api.call("POST", f"{SERVICES}?fieldValidation=Strict", body), 400, "BadRequest")
    assert set(causes(strict)) == {"spec.ports[0].port", "spec.type"}
    assert 'duplicate field "spec.type"' in strict["message"]
    warned = api.call("POST", SERVICES, body)
    assert warned.json()["spec"]["ports"][0]["port"] == 80
    assert '299 - "duplicate field \\"spec.ports[0].port\\""' in warned.headers.get_list("warning")
    ignored = api.call("PUT", f"{SERVICES}/web?fieldValidation=Ignore", body)
    assert ignored.status_code == 200
    assert "warning" not in ignored.headers
    refused(api.call("POST", CONFIG_MAPS, b"metadata: {name: a, name: b}", media="application/yaml"), 400, "BadRequest")


def test_a_rule_for_a_revision_needs_the_revision(api: LocalApi) -> None:
    for query in ("resourceVersionMatch=Exact", "resourceVersionMatch=Exact&resourceVersion=0",
                  "resourceVersionMatch=NotOlderThan"):  # fmt: skip
        status = refused(api.call("GET", f"{SERVICES}?{query}"), 400, "BadRequest")
        assert "resourceVersionMatch" in status["message"]


def test_field_that_is_not_honoured_is_taken_with_a_warning(api: LocalApi) -> None:
    response = api.call("POST", SERVICES, service(clusterIP="10.0.0.1"))
    assert response.status_code == 201
    (warning,) = response.headers.get_list("warning")
    assert warning.startswith('299 - "spec.clusterIP: ')


def test_null_is_absent(api: LocalApi) -> None:
    document = service(selector=None)
    document["metadata"]["creationTimestamp"] = None
    document["status"] = None
    assert "selector" not in api.create(SERVICES, document)["spec"]


def test_dry_run_writes_nothing(api: LocalApi) -> None:
    before = api.revision
    api.create(f"{SERVICES}?dryRun=All", service())
    assert api.revision == before
    api.create(SERVICES, service())
    before = api.revision
    patched = api.call("PATCH", f"{SERVICES}/web?dryRun=All", {"metadata": {"labels": {"a": "b"}}}, media=MERGE_PATCH)
    assert patched.json()["metadata"]["labels"] == {"a": "b"}
    assert api.call("DELETE", f"{SERVICES}/web?dryRun=All").status_code == 200
    assert api.revision == before


def test_object_needs_its_namespace(api: LocalApi) -> None:
    status = refused(api.call("POST", "/api/v1/namespaces/nowhere/services", service()), 404, "NotFound")
    assert status["message"] == 'namespaces "nowhere" not found'
    other = service()
    other["metadata"]["namespace"] = "other"
    refused(api.call("POST", SERVICES, other), 400, "BadRequest")


def test_namespace_goes_with_what_is_in_it(api: LocalApi) -> None:
    made = api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    assert made["status"] == {"phase": "Active"}
    api.create("/api/v1/namespaces/shop/services", service())
    api.create(SERVICES, service())
    assert api.call("DELETE", "/api/v1/namespaces/shop").json()["status"] == "Success"
    assert [item["metadata"]["namespace"] for item in api.get("/api/v1/services")["items"]] == ["default"]
    refused(api.call("DELETE", "/api/v1/namespaces/default"), 403, "Forbidden")


def test_object_with_finalizers_goes_when_the_last_is_removed(api: LocalApi) -> None:
    api.create(CONFIG_MAPS, config_map(finalizers=["skep.dev/test"]))
    marked = api.call("DELETE", f"{CONFIG_MAPS}/settings").json()
    assert marked["metadata"]["deletionTimestamp"]
    api.call("PATCH", f"{CONFIG_MAPS}/settings", {"metadata": {"finalizers": None}}, media=MERGE_PATCH)
    refused(api.call("GET", f"{CONFIG_MAPS}/settings"), 404, "NotFound")


def test_deletion_keeps_its_preconditions(api: LocalApi) -> None:
    made = api.create(CONFIG_MAPS, config_map())
    refused(api.call("DELETE", f"{CONFIG_MAPS}/settings", {"preconditions": {"uid": "another"}}), 409, "Conflict")
    refused(api.call("DELETE", f"{CONFIG_MAPS}/settings", {"propagationPolicy": "Sideways"}), 422, "Invalid")
    uid = made["metadata"]["uid"]
    body = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
    assert api.call("DELETE", f"{CONFIG_MAPS}/settings", body).json()["details"]["uid"] == uid


def test_collection_is_deleted_by_selector(api: LocalApi) -> None:
    for name in ("a", "b", "c"):
        api.create(CONFIG_MAPS, config_map(name, labels={"keep": str(name == "b").lower()}))
    assert api.call("DELETE", f"{CONFIG_MAPS}?labelSelector=keep%3Dfalse").status_code == 200
    assert [item["metadata"]["name"] for item in api.get(CONFIG_MAPS)["items"]] == ["b"]


def test_immutable_fields_stay(api: LocalApi) -> None:
    api.create(DEPLOYMENTS, deployment())
    patch = {"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}}
    status = refused(api.call("PATCH", f"{DEPLOYMENTS}/web", patch, media=MERGE_PATCH), 422, "Invalid")
    assert set(causes(status)) == {"spec.selector"}
    api.create(CONFIG_MAPS, {**config_map(), "immutable": True})
    refused(api.call("PATCH", f"{CONFIG_MAPS}/settings", {"data": {"a": "c"}}, media=MERGE_PATCH), 422, "Invalid")


def test_secret_texts_become_data(api: LocalApi) -> None:
    document = {"metadata": {"name": "s"}, "stringData": {"password": "pa55"}}
    made = api.create("/api/v1/namespaces/default/secrets", document)
    assert made["data"] == {"password": "cGE1NQ=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


def test_scale_reads_and_writes_replicas(api: LocalApi) -> None:
    api.create(DEPLOYMENTS, deployment())
    scale = api.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "app=web")
    scale["spec"]["replicas"] = 4
    assert api.call("PUT", f"{DEPLOYMENTS}/web/scale", scale).json()["spec"] == {"replicas": 4}
    refused(api.call("PUT", f"{DEPLOYMENTS}/web/scale", scale), 409, "Conflict")
    patched = api.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 2}}, media=MERGE_PATCH)
    assert patched.json()["spec"] == {"replicas": 2}
    assert api.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 2
    refused(
        api.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}}, media=MERGE_PATCH), 422, "Invalid"
    )


def test_three_patches_do_what_their_names_say(api: LocalApi) -> None:
    api.create(SERVICES, service(ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]))
    operations = [{"op": "replace", "path": "/spec/ports/0/name", "value": "c"}]
    after = api.call("PATCH", f"{SERVICES}/web", operations, media=JSON_PATCH).json()
    assert [port["name"] for port in after["spec"]["ports"]] == ["c", "b"]
    strategic = {"spec": {"ports": [{"port": 81, "targetPort": 9}]}}
    after = api.call("PATCH", f"{SERVICES}/web", strategic, media=STRATEGIC).json()
    assert [port["targetPort"] for port in after["spec"]["ports"]] == [80, 9]
    merge = {"spec": {"ports": [{"port": 5}]}}
    after = api.call("PATCH", f"{SERVICES}/web", merge, media=MERGE_PATCH).json()
    assert [port["port"] for port in after["spec"]["ports"]] == [5]
    api.create(ROUTES, http_route())
    refused(api.call("PATCH", f"{ROUTES}/web", {}, media=STRATEGIC), 415, "UnsupportedMediaType")
    refused(api.call("PATCH", f"{ROUTES}/web", {}, media="application/apply-patch+yaml"), 415, "UnsupportedMediaType")


def test_yaml_is_read_like_json(api: LocalApi) -> None:
    body = b"kind: ConfigMap\nmetadata: {name: y}\ndata: {when: '2020-01-01', a: b}\n"
    assert api.call("POST", CONFIG_MAPS, body, media="application/yaml").json()["data"]["when"] == "2020-01-01"


def test_lists_are_selected_and_tell_their_revision(api: LocalApi) -> None:
    for name, tier in (("a", "front"), ("b", "back"), ("c", "")):
        api.create(CONFIG_MAPS, config_map(name, labels={"tier": tier} if tier else {}))
    listed = api.get(CONFIG_MAPS)
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert listed["metadata"]["resourceVersion"] == str(api.revision)
    for selector, names in (
        ("labelSelector=tier=front", ["a"]),
        ("labelSelector=tier!=front", ["b", "c"]),
        ("labelSelector=tier%20in%20(front,back)", ["a", "b"]),
        ("labelSelector=tier%20notin%20(front)", ["b", "c"]),
        ("labelSelector=!tier", ["c"]),
        ("labelSelector=tier,tier!=back", ["a"]),
        ("fieldSelector=metadata.name=b", ["b"]),
        ("fieldSelector=metadata.namespace!=default", []),
    ):
        assert [item["metadata"]["name"] for item in api.get(f"{CONFIG_MAPS}?{selector}")["items"]] == names, selector
    refused(api.call("GET", f"{CONFIG_MAPS}?fieldSelector=data.a=b"), 400, "BadRequest")
    refused(api.call("GET", f"{CONFIG_MAPS}?resourceVersion=99999"), 410, "Expired")


def test_tables_have_the_columns_kubectl_prints(api: LocalApi) -> None:
    api.create(DEPLOYMENTS, deployment())
    table = api.get(DEPLOYMENTS, headers=TABLE)
    names = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert names == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    (row,) = table["rows"]
    assert row["cells"][:4] == ["web", "0/1", 0, 0]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert "spec" not in row["object"]
    whole = api.get(f"{DEPLOYMENTS}/web?includeObject=Object", headers=TABLE)
    assert whole["rows"][0]["object"]["spec"]["replicas"] == 1


def test_people_may_not_write_what_runs_and_agents_may_not_write_what_is_wished(api: LocalApi) -> None:
    pod = {"metadata": {"name": "web-1"}, "spec": deployment()["spec"]["template"]["spec"]}
    pods = "/api/v1/namespaces/default/pods"
    assert "read-only" in refused(api.call("POST", pods, pod), 403, "Forbidden")["message"]
    assert api.call("POST", pods, pod, role=Role.AGENT).status_code == 201
    patch = {"status": {"phase": "Running"}}
    patched = api.call("PATCH", f"{pods}/web-1/status", patch, media=MERGE_PATCH, role=Role.AGENT)
    assert patched.json()["status"] == {"phase": "Running"}
    assert api.get(f"{pods}?fieldSelector=status.phase=Running")["items"][0]["metadata"]["name"] == "web-1"
    refused(api.call("POST", SERVICES, service(), role=Role.AGENT), 403, "Forbidden")
    refused(api.call("GET", SERVICES, role=None), 401, "Unauthorized")
    refused(api.call("GET", SERVICES, headers={"authorization": "Bearer wrong"}, role=None), 401, "Unauthorized")
    for path in ("/livez", "/readyz", "/healthz", "/version"):
        assert api.call("GET", path, role=None).status_code == 200


def test_unknown_paths_and_methods_are_told_as_status(api: LocalApi) -> None:
    for path in (
        "/nope",
        "/api/v2",
        "/api/v1/widgets",
        "/apis/apps/v1/namespaces/default/deployments/a/b/c",
        "/api/v1/",
    ):
        response = api.call("GET", path)
        assert response.status_code == 404 or path == "/api/v1/"
    refused(api.call("POST", "/api/v1/services", service()), 405, "MethodNotAllowed")
    refused(api.call("POST", f"{SERVICES}/web", service()), 405, "MethodNotAllowed")


def test_stored_document_is_shown_byte_for_byte_whatever_it_holds(api: LocalApi) -> None:
    """The revision is put into the bytes; a document that holds look-alikes must not be fooled by it."""
    tricky = {"metadata": {"name": "t"}, "data": {"a": '"metadata":{', "metadata": "{"}, "aaa": {"metadata": {"x": 1}}}
    made = api.create(CONFIG_MAPS, tricky)
    assert made["metadata"]["resourceVersion"] == str(api.revision)
    assert made["aaa"] == {"metadata": {"x": 1}}
    assert api.get(CONFIG_MAPS)["items"] == [made]


def test_kind_of_two_versions_is_one_object(api: LocalApi) -> None:
    base = "/apis/gateway.networking.k8s.io/{}/namespaces/default/referencegrants"
    grant = {"metadata": {"name": "g"}, "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "a"}],
        "to": [{"group": "", "kind": "Service"}],
    }}  # fmt: skip
    made = api.create(base.format("v1"), {**grant, "apiVersion": "gateway.networking.k8s.io/v1"})
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1"
    older = api.get(base.format("v1beta1"))["items"][0]
    assert older["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    assert older["metadata"]["uid"] == made["metadata"]["uid"]


def test_concurrent_patches_all_count(api: LocalApi) -> None:
    api.create(CONFIG_MAPS, config_map())
    client = api._client
    headers = {"authorization": f"Bearer {api._tokens[Role.ADMIN]}", "content-type": MERGE_PATCH}

    async def all_at_once() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    client.patch(
                        f"{CONFIG_MAPS}/settings", content=json.dumps({"data": {f"k{n}": "v"}}), headers=headers
                    )
                )
                for n in range(6)
            ]
        return [task.result().status_code for task in tasks]

    assert api.run(all_at_once()) == [200] * 6
    assert set(api.get(f"{CONFIG_MAPS}/settings")["data"]) == {"a", *(f"k{n}" for n in range(6))}


def test_failure_of_the_server_tells_nothing_of_its_inside(api: LocalApi, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise RuntimeError("the password is 123")

    with local_api(lambda parts: msgspec.structs.replace(parts, readiness=broken)) as other:
        response = other.call("GET", "/readyz")
    assert response.status_code == 500
    assert "123" not in response.text
    assert response.json()["reason"] == "InternalError"
    assert "GET /readyz failed" in caplog.text


def test_stored_objects_of_programs_are_served_like_others(api: LocalApi) -> None:
    key = Key("services", "default", "direct")
    entry = api.run(create_object(api.parts.store, key, service("direct"), api.parts.clock))
    assert api.get(f"{SERVICES}/direct")["metadata"]["resourceVersion"] == str(entry.revision)
    assert entry.document == encode(msgspec.json.decode(entry.document))


def test_instances_are_shown_with_their_lease_and_cannot_be_written(api: LocalApi) -> None:
    registered = Instance(Namespace("default"), ServiceName("orders"), InstanceId("1"), "127.0.0.1", 9000)
    assert api.parts.registry is not None
    api.run(api.parts.registry.register([registered], by="host-1"))
    path = "/apis/skep.dev/v1alpha1/namespaces/default/instances"
    (item,) = api.get(path)["items"]
    assert item["spec"]["service"] == "orders"
    assert item["status"]["health"] == "passing"
    assert item["status"]["lease"]["heardBy"] == "host-1"
    assert item["metadata"]["resourceVersion"]
    assert api.get(f"{path}/orders.1") == item
    assert len(api.get(f"{path}?fieldSelector=spec.service=orders,status.health=passing")["items"]) == 1
    assert api.get(path, headers=TABLE)["rows"][0]["cells"][1:4] == ["orders", "127.0.0.1:9000", "passing"]
    refused(api.call("DELETE", f"{path}/orders.1"), 403, "Forbidden")


def test_logs_come_from_whoever_keeps_them() -> None:
    asked: list[LogQuery] = []

    async def lines(query: LogQuery) -> AsyncIterator[bytes]:
        asked.append(query)

        async def read() -> AsyncIterator[bytes]:
            yield b"one\n"
            yield b"two\n"

        return read()

    pod = {"metadata": {"name": "web-1"}, "spec": deployment()["spec"]["template"]["spec"]}
    path = "/api/v1/namespaces/default/pods"
    with local_api(lambda parts: msgspec.structs.replace(parts, pod_log=lines)) as api:
        api.create(path, pod, role=Role.AGENT)
        response = api.call("GET", f"{path}/web-1/log?tailLines=2&follow=true")
        assert response.text == "one\ntwo\n"
        refused(api.call("GET", f"{path}/none/log"), 404, "NotFound")
        refused(api.call("GET", f"{path}/web-1/log?tailLines=x"), 400, "BadRequest")
    assert asked == [LogQuery("default", "web-1", follow=True, tail_lines=2)]
