"""The installed command against a whole installation, as its users type it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.installation import Installation, installation

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1", "b": "2"}}


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("cli")) as running:
        yield running


def manifest(directory: Path, *documents: object, name: str = "m.yaml") -> str:
    path = directory / name
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def eventually(look: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.perf_counter() + limit_s
    while not look():
        assert time.perf_counter() < deadline
        time.sleep(0.1)


def test_apply_creates_configures_and_leaves_alone(skep: Installation, tmp_path: Path) -> None:
    first = skep.skep("apply", "-f", manifest(tmp_path, SERVICE, CONFIG))
    assert first.stdout.splitlines() == ["service/web created", "configmap/settings created"]
    again = skep.skep("apply", "-f", manifest(tmp_path, SERVICE, CONFIG))
    assert again.stdout.splitlines() == ["service/web unchanged", "configmap/settings unchanged"]
    changed = {**CONFIG, "data": {"a": "1", "c": "3"}}
    assert skep.skep("apply", "-f", manifest(tmp_path, changed)).stdout == "configmap/settings configured\n"
    got = json.loads(skep.skep("get", "cm", "settings", "-o", "json").stdout)
    assert got["data"] == {"a": "1", "c": "3"}, "what is not in the manifest any more is removed"
    gone = skep.skep("delete", "-f", manifest(tmp_path, SERVICE, CONFIG))
    assert gone.stdout.splitlines() == ['service "web" deleted', 'configmap "settings" deleted']
    assert skep.skep("delete", "-f", manifest(tmp_path, CONFIG)).returncode == 1
    assert skep.skep("delete", "-f", manifest(tmp_path, CONFIG), "--ignore-not-found").returncode == 0


def test_a_bad_object_names_every_path_and_does_not_stop_the_good_one(skep: Installation, tmp_path: Path) -> None:
    bad = {**SERVICE, "spec": {"ports": [{"port": 0}, {"port": "many"}]}}
    done = skep.skep("apply", "-f", manifest(tmp_path, bad, CONFIG))
    assert done.returncode == 1
    assert "configmap/settings" in done.stdout
    assert "spec.ports[0].port" in done.stderr
    assert "spec.ports[1].port" in done.stderr
    assert "m.yaml, document 1" in done.stderr
    assert "Traceback" not in done.stderr
    skep.skep("delete", "cm/settings")


def test_unhonoured_fields_are_warned_of_and_dry_run_writes_nothing(skep: Installation, tmp_path: Path) -> None:
    odd = {**SERVICE, "spec": {**SERVICE["spec"], "sessionAffinity": "ClientIP", "colour": "red"}}  # type: ignore[dict-item]
    done = skep.skep("apply", "--dry-run", "-f", manifest(tmp_path, odd))
    assert done.stdout == "service/web created (dry run)\n"
    assert "Warning: " in done.stderr
    assert "spec.colour" in done.stderr
    assert skep.skep("get", "service", "web").returncode == 1


def test_standard_input_and_a_namespace_of_its_own(skep: Installation) -> None:
    documents = [{**CONFIG, "metadata": {"name": "x", "namespace": "shop"}}]
    documents.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    done = subprocess.run(
        ["skep", "apply", "-f", "-"], env=skep.env, input=yaml.safe_dump_all(documents), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["namespace/shop created", "configmap/x created"], done.stderr
    assert skep.skep("get", "cm", "-n", "shop", "-o", "name").stdout == "configmap/x\n"
    everywhere = skep.skep("get", "cm", "-A").stdout.splitlines()
    assert everywhere[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert any(line.split()[:2] == ["shop", "x"] for line in everywhere[1:])


def test_what_is_not_there_is_said(skep: Installation) -> None:
    assert skep.skep("get", "pods").stderr == "No resources found in default namespace.\n"
    missing = skep.skep("get", "pod", "nobody")
    assert missing.returncode == 1
    assert "nobody" in missing.stderr.splitlines()[0]
    assert missing.stderr.splitlines()[1].startswith("next: ")
    unknown = skep.skep("get", "unicorns")
    assert "httproutes" in unknown.stderr
    refused = subprocess.run(
        ["skep", "get", "pods", "--token", "wrong"], env=skep.env, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert "SKEP_TOKEN" in refused.stderr


def test_a_watch_shows_each_change(skep: Installation, tmp_path: Path) -> None:
    output = tmp_path / "watch"
    with output.open("wb") as stream:
        watching = subprocess.Popen(["skep", "get", "cm", "--watch"], env=skep.env, stdout=stream, stderr=stream)
        try:
            eventually(lambda: "NAME" in output.read_text())
            skep.skep("apply", "-f", manifest(tmp_path, CONFIG))
            eventually(lambda: "settings" in output.read_text())
            before = output.read_text().count("settings")
            skep.skep("delete", "cm/settings")
            eventually(lambda: output.read_text().count("settings") > before)
        finally:
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) == 130


def test_describe_top_kubeconfig_and_version(skep: Installation) -> None:
    described = skep.skep("describe", "gateway", "edge").stdout
    assert "Programmed" in described
    eventually(
        lambda: any(row["name"] == "edge" for row in json.loads(skep.skep("top", "--once", "-o", "json").stdout))
    )
    assert "SERVICE" in skep.skep("top", "--once").stdout
    config = yaml.safe_load(skep.skep("kubeconfig").stdout)
    assert config["clusters"][0]["cluster"]["server"] == skep.api.replace("http:", "https:")
    assert skep.skep("version").stdout.startswith("skep ")


def test_a_program_runs_as_an_instance_and_its_status_is_ours(skep: Installation) -> None:
    done = skep.skep("run", "--service", "once", "--", "sh", "-c", "echo $PORT $http_proxy; exit 7")
    assert done.returncode == 7, done.stderr
    port, proxy = done.stdout.split()
    assert port.isdigit()
    assert proxy.startswith("http://127.0.0.1:")


def test_envoys_are_restarted_by_name(skep: Installation) -> None:
    eventually(lambda: "gateway/edge" in skep.skep("agent", "proxies").stdout)
    done = skep.skep("agent", "restart-envoy", "gateway/edge")
    assert done.stdout == "envoy gateway/edge restarted\n", done.stderr
    assert skep.skep("agent", "restart-envoy", "nobody").returncode == 1


def test_a_second_up_is_refused_and_a_killed_server_comes_back(skep: Installation) -> None:
    second = skep.skep("up")
    assert second.returncode == 1
    assert "runs there already" in second.stderr
    pid_file = Path(skep.env["SKEP_DATA_DIR"]) / "logs" / "server.pid"
    before = int(pid_file.read_text())
    os.kill(before, signal.SIGKILL)
    eventually(lambda: skep.skep("get", "ns").returncode == 0 and int(pid_file.read_text()) != before)
    assert "skep-system" in skep.skep("get", "ns").stdout


def test_up_names_a_taken_port_before_it_starts_anything(skep: Installation, tmp_path: Path) -> None:
    taken = skep.env["SKEP_HTTP_PORT"]
    done = skep.skep("up", "--data-dir", str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"port {taken} on 127.0.0.1 is taken" in done.stderr
    assert "--http-port" in done.stderr
    assert not (tmp_path / "other" / "logs").exists()


def test_an_end_of_output_is_not_an_error(skep: Installation) -> None:
    done = subprocess.run(
        ["sh", "-c", "skep get gateway edge -o yaml | head -1; skep --help | head -1"],
        env=skep.env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
