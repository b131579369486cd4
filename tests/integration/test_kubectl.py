"""The unmodified kubectl against a real server: every verb people use daily, over TLS with a token."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from skep.store.backend import Key
from skep.store.objects import update_status
from tests.support.api_server import ApiServer, running_api

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".tools/bin/kubectl"
LIMIT_S = 60

APPLICATION = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1
        command: [sleep, "3"]
        env: [{name: A, value: a}, {name: B, value: b}]
        ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door}
spec:
  gatewayClassName: skep
  listeners: [{name: http, port: 8090, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: door}]
  hostnames: [web.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: web, port: 80}]
"""

MISTAKES = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad}
spec:
  parentRefs: [{name: door}]
  rules:
  - matches: [{path: {type: Nope, value: /}}]
    backendRefs: [{name: web, port: "80"}]
"""


class Kubectl:
    """Runs kubectl as one user with a kubeconfig and a home of their own."""

    def __init__(self, server: ApiServer, home: Path) -> None:
        self.server = server
        self.home = home
        config = home / "config"
        config.touch(mode=0o600)
        config.write_text(server.kubeconfig)
        self.env = {"KUBECONFIG": str(config), "HOME": str(home), "PATH": os.environ["PATH"]}  # noqa: TID251

    def run(
        self, *args: str, text: str | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), *args],
            input=text, env=self.env | (env or {}), capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def __call__(self, *args: str, text: str | None = None, env: dict[str, str] | None = None) -> str:
        done = self.run(*args, text=text, env=env)
        assert done.returncode == 0, f"{args}: {done.stderr}"
        assert "rror" not in done.stderr, done.stderr
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "-o", "json"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    assert KUBECTL.exists(), "kubectl is not built: run `make tools`"
    with running_api(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def kubectl(server: ApiServer, tmp_path: Path) -> Iterator[Kubectl]:
    """A kubectl whose namespace is new and goes afterwards."""
    started = Kubectl(server, tmp_path)
    name = "t-" + "".join(char for char in tmp_path.name.lower() if char.isalnum())[:40]
    started("create", "namespace", name)
    started("config", "set-context", "--current", f"--namespace={name}")
    yield started
    started("delete", "namespace", name)


@pytest.fixture
def applied(kubectl: Kubectl) -> Kubectl:
    kubectl("apply", "-f", "-", text=APPLICATION)
    return kubectl


def test_version_and_resources_are_known(kubectl: Kubectl) -> None:
    assert "Server Version: v1." in kubectl("version")
    resources = kubectl("api-resources")
    for line in ("deployments", "httproutes", "instances", "gtw", "svc"):
        assert line in resources
    assert kubectl("api-versions").split() >= ["apps/v1"]
    assert kubectl("cluster-info").startswith("Kubernetes control plane is running at https://127.0.0.1:")


def test_token_is_needed(kubectl: Kubectl) -> None:
    config = yaml.safe_load((kubectl.home / "config").read_text())
    config["users"][0]["user"]["token"] = "wrong"
    other = kubectl.home / "other"
    other.write_text(yaml.safe_dump(config))
    refused = kubectl.run("get", "services", env={"KUBECONFIG": str(other)})
    assert refused.returncode != 0
    assert "must be logged in" in refused.stderr


def test_apply_creates_then_leaves_then_changes(applied: Kubectl) -> None:
    again = applied("apply", "-f", "-", text=APPLICATION)
    assert [line.split()[1] for line in again.splitlines()] == ["unchanged"] * 5
    changed = applied("apply", "-f", "-", text=APPLICATION.replace("name: B, value: b", "name: C, value: c"))
    assert "deployment.apps/web configured" in changed
    (container,) = applied.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert {one["name"] for one in container["env"]} == {"A", "C"}
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_apply_with_mistakes_shows_every_path(kubectl: Kubectl) -> None:
    refused = kubectl.run("apply", "-f", "-", text=MISTAKES)
    assert refused.returncode != 0
    assert 'The HTTPRoute "bad" is invalid' in refused.stderr
    assert "spec.rules[0].matches[0].path.type" in refused.stderr
    assert "spec.rules[0].backendRefs[0].port" in refused.stderr
    unknown = APPLICATION.replace("replicas: 2", "replicas: 2\n  colour: red\n  shape: round")
    refused = kubectl.run("apply", "-f", "-", text=unknown)
    assert 'unknown field "spec.colour", unknown field "spec.shape"' in refused.stderr
    warned = kubectl.run("apply", "--validate=warn", "-f", "-", text=unknown)
    assert warned.returncode == 0
    assert 'Warning: unknown field "spec.colour"' in warned.stderr


def test_get_in_every_form(applied: Kubectl) -> None:
    assert applied("get", "deploy").splitlines()[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert "web:1" in applied("get", "deploy", "-o", "wide")
    assert yaml.safe_load(applied("get", "svc", "web", "-o", "yaml"))["spec"]["ports"][0]["port"] == 80
    assert applied("get", "httproute", "-o", "name") == "httproute.gateway.networking.k8s.io/web\n"
    assert applied("get", "cm", "-l", "app=web", "-o", "name") == "configmap/settings\n"
    assert applied("get", "cm", "-l", "app notin (web)", "-o", "name") == ""
    assert applied("get", "svc", "--field-selector", "metadata.name=web", "-o", "name") == "service/web\n"
    assert applied("get", "deploy,svc", "-o", "jsonpath={.items[*].kind}") == "Deployment Service"
    everywhere = applied("get", "services", "-A")
    assert everywhere.startswith("NAMESPACE")
    assert "deployment.apps/web" in applied("get", "all")
    refused = applied.run("get", "svc", "--field-selector", "spec.colour=red")
    assert "field label not supported" in refused.stderr
    assert 'services "nope" not found' in applied.run("get", "svc", "nope").stderr


def test_describe_reads_what_it_needs(applied: Kubectl) -> None:
    applied("create", "secret", "generic", "password", "--from-literal=word=pa55")
    namespace = applied("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    for kind, name, shown in (
        ("deployment", "web", "2 desired"),
        ("service", "web", "80/TCP"),
        ("gateway", "door", "Gateway Class Name:  skep"),
        ("httproute", "web", "web.example"),
        ("configmap", "settings", "red"),
        ("secret", "password", "4 bytes"),
        ("namespace", namespace, "Active"),
    ):
        assert shown in applied("describe", kind, name), kind


def test_edit_saves_what_the_editor_wrote(applied: Kubectl) -> None:
    editor = {"KUBE_EDITOR": "sed -i s/web.example/shop.example/"}
    assert "edited" in applied("edit", "httproute", "web", env=editor)
    assert applied.json("get", "httproute", "web")["spec"]["hostnames"] == ["shop.example"]
    assert "edited" in applied("edit", "deployment", "web", env={"KUBE_EDITOR": "sed -i s/web:1/web:2/"})
    assert applied.json("get", "deploy", "web")["metadata"]["generation"] == 2


def test_three_patches(applied: Kubectl) -> None:
    applied(
        "patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"x"}]}}}}'
    )
    (container,) = applied.json("get", "deploy", "web")["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["command"]) == ("x", ["sleep", "3"])
    applied("patch", "httproute", "web", "--type=merge", "-p", '{"spec":{"hostnames":["a.example"]}}')
    applied("patch", "httproute", "web", "--type=json", "-p",
            '[{"op":"add","path":"/spec/hostnames/-","value":"b.example"}]')  # fmt: skip
    assert applied.json("get", "httproute", "web")["spec"]["hostnames"] == ["a.example", "b.example"]


def test_labels_annotations_scale_and_image(applied: Kubectl) -> None:
    applied("label", "svc", "web", "tier=front", "app-")
    applied("annotate", "svc", "web", "note=kept")
    metadata = applied.json("get", "svc", "web")["metadata"]
    assert metadata["labels"] == {"tier": "front"}
    assert metadata["annotations"]["note"] == "kept"
    applied("scale", "deployment", "web", "--replicas=5")
    applied("set", "image", "deployment/web", "main=web:3")
    applied("rollout", "restart", "deployment/web")
    spec = applied.json("get", "deploy", "web")["spec"]
    assert spec["replicas"] == 5
    assert spec["template"]["spec"]["containers"][0]["image"] == "web:3"
    assert "kubectl.kubernetes.io/restartedAt" in spec["template"]["metadata"]["annotations"]


def test_create_by_command(kubectl: Kubectl) -> None:
    """These send protobuf, as every typed client does."""
    kubectl("create", "configmap", "one", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "two", "--from-literal=p=q")
    kubectl("create", "deployment", "three", "--image=x", "--replicas=2", "--port=80", "--", "sleep", "3")
    kubectl("create", "service", "clusterip", "four", "--tcp=80:8080")
    kubectl("expose", "deployment", "three", "--port=80", "--target-port=9000")
    assert kubectl.json("get", "cm", "one")["data"] == {"a": "b"}
    assert kubectl.json("get", "secret", "two")["data"] == {"p": "cQ=="}
    spec = kubectl.json("get", "deploy", "three")["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["command"]) == (2, ["sleep", "3"])
    assert kubectl.json("get", "svc", "four")["spec"]["ports"][0]["targetPort"] == 8080
    assert kubectl.json("get", "svc", "three")["spec"]["selector"] == {"app": "three"}


def test_delete_by_name_file_and_label(applied: Kubectl) -> None:
    applied("delete", "httproute", "web")
    applied("delete", "svc", "-l", "app=web")
    left = applied.run("delete", "-f", "-", text=APPLICATION)
    assert 'deployment.apps "web" deleted' in left.stdout
    assert 'services "web" not found' in left.stderr
    assert applied("get", "deploy,svc,cm,gtw,httproute", "-o", "name") == ""


def test_diff_shows_what_apply_would_do(applied: Kubectl) -> None:
    same = applied.run("diff", "-f", "-", text=APPLICATION)
    assert (same.returncode, same.stdout) == (0, "")
    other = applied.run("diff", "-f", "-", text=APPLICATION.replace("colour: red", "colour: blue"))
    assert other.returncode == 1
    assert "+  colour: blue" in other.stdout
    assert applied.json("get", "cm", "settings")["data"] == {"colour": "red"}
    assert "dry run" in applied("apply", "--dry-run=server", "-f", "-", text=APPLICATION.replace("red", "blue"))


def test_explain_reads_the_schemas(kubectl: Kubectl) -> None:
    assert "matches\t<[]HTTPRouteMatch>" in kubectl("explain", "httproute.spec.rules")
    assert "FIELD: containers" in kubectl("explain", "deployment.spec.template.spec.containers")
    assert "labels\t<map[string]string>" in kubectl("explain", "service.metadata")
    assert "targetPort" in kubectl("explain", "service", "--recursive")


def test_watch_prints_changes_as_they_come(applied: Kubectl) -> None:
    command = [str(KUBECTL), "get", "configmaps", "-w", "-o", "name"]
    with subprocess.Popen(command, env=applied.env, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        limit = threading.Timer(LIMIT_S, watching.kill)
        limit.start()
        try:
            assert watching.stdout.readline() == "configmap/settings\n"
            applied("create", "configmap", "later", "--from-literal=a=b")
            assert watching.stdout.readline() == "configmap/later\n"
        finally:
            limit.cancel()
            watching.terminate()


def test_wait_ends_when_the_condition_comes(applied: Kubectl) -> None:
    namespace = applied("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    command = [str(KUBECTL), "wait", "--for=condition=Available", "deployment/web", f"--timeout={LIMIT_S}s"]
    with subprocess.Popen(command, env=applied.env, stdout=subprocess.PIPE, text=True) as waiting:
        key = Key("deployments.apps", namespace, "web")
        conditions = [{"type": "Available", "status": "True"}]
        status = {"conditions": conditions, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
                  "availableReplicas": 2, "observedGeneration": 1}  # fmt: skip
        applied.server.run(lambda parts: update_status(parts.store, key, status))
        assert waiting.communicate(timeout=LIMIT_S)[0] == "deployment.apps/web condition met\n"
    assert applied("wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/web", f"--timeout={LIMIT_S}s")
    assert "successfully rolled out" in applied("rollout", "status", "deployment/web", f"--timeout={LIMIT_S}s")
    assert "2/2" in applied("get", "deploy", "web")


def test_events_are_shown_with_their_object(applied: Kubectl) -> None:
    namespace = applied("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    uid = applied.json("get", "deploy", "web")["metadata"]["uid"]
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": namespace},
        "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": namespace, "uid": uid},
        "reason": "Scaled", "message": "two replicas", "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
    }  # fmt: skip
    applied("create", "-f", "-", text=json.dumps(event))
    assert "two replicas" in applied("get", "events")
    assert "two replicas" in applied("events", "--for", "deployment/web")
    assert "two replicas" in applied("describe", "deployment", "web")


def test_replace_conflicts_on_a_stale_revision(applied: Kubectl) -> None:
    seen = applied.json("get", "cm", "settings")
    applied("label", "cm", "settings", "other=change")
    refused = applied.run("replace", "-f", "-", text=json.dumps(seen))
    assert "the object has been modified" in refused.stderr
    del seen["metadata"]["resourceVersion"]
    assert "replaced" in applied("replace", "-f", "-", text=json.dumps(seen))


def test_running_things_are_read_only(kubectl: Kubectl) -> None:
    assert "pods are read-only" in kubectl.run("delete", "pod", "any").stderr
    assert "read-only" in kubectl.run("delete", "instance", "any").stderr
    assert "No resources found" in kubectl.run("get", "instances").stderr


def test_server_side_apply_is_refused_clearly(kubectl: Kubectl) -> None:
    refused = kubectl.run("apply", "--server-side", "-f", "-", text=APPLICATION)
    assert refused.returncode != 0
    assert "server-side apply is not supported yet" in refused.stderr
