"""Replicas as real processes: start, probes, crashes, graceful ends, and an agent that is killed and replaced."""

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from skep.agent import replica as replica_module
from skep.errors import NotFound
from skep.model.instance import Health
from tests.support.pods import Agent, FakeSource, pod_document, until

HTTP_READY = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}


@pytest.fixture
def switches(tmp_path: Path) -> Path:
    folder = tmp_path / "switches"
    folder.mkdir()
    return folder


def is_running(pid: int) -> bool:
    """Whether a process lives; one whose last parent does not collect it does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def environment_of(agent: Agent, pod: str) -> dict[str, str]:
    (port,) = [one.saved.port for one in agent.pods.replicas() if one.name == pod]
    async with httpx.AsyncClient(trust_env=False) as http:
        found: dict[str, str] = (await http.get(f"http://127.0.0.1:{port}/")).json()
        return found


@pytest.mark.anyio
async def test_replica_starts_with_its_environment_and_becomes_ready(tmp_path: Path, switches: Path) -> None:
    document = pod_document(
        "web-1",
        switches,
        args=["at", "$(PORT)", "$(GREETING)", "$$(PORT)"],
        env=[
            {"name": "GREETING", "value": "hello $(WHO)"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "PORT", "value": "8080"},
        ],
        envFrom=[{"configMapRef": {"name": "settings"}}],
        ports=[{"containerPort": 8080}],
        readinessProbe=HTTP_READY,
        livenessProbe={"tcpSocket": {"port": 8080}},
    )
    source = FakeSource([document])
    source.configuration["configmaps", "shop", "settings"] = {"data": {"WHO": "world"}}
    source.configuration["secrets", "shop", "keys"] = {"data": {"key": base64.b64encode(b"secret").decode()}}
    async with Agent(tmp_path, source) as agent:
        await until(lambda: source.is_ready("web-1"), "ready")
        env = await environment_of(agent, "web-1")
        assert env["GREETING"] == "hello world"
        assert env["KEY"] == "secret"
        assert env["POD"] == "web-1"
        assert env["PORT"] == str(agent.pods.replicas()[0].saved.port)
        assert env["http_proxy"] == env["HTTP_PROXY"] == f"http://{agent.sidecars.list()[0].outbound}"
        (request,) = [request for request, _ in agent.sidecars.attached.values()]
        assert (request.key.namespace, request.key.service, request.key.id) == ("shop", "web", "web-1")
        assert request.initial_health is Health.STARTING
        assert agent.sidecars.health[request.key] is Health.PASSING
        stdout, _ = agent.pods.output_of("shop", "web-1")
        assert stdout.read_text().splitlines()[0] == f"serving at {env['PORT']} hello world $(PORT)"
        status = source.statuses["web-1"]
        assert status["phase"] == "Running"
        assert status["podIP"] == "127.0.0.1"
        assert {one["type"]: one["status"] for one in status["conditions"]} == {
            "PodScheduled": "True",
            "Initialized": "True",
            "ContainersReady": "True",
            "Ready": "True",
            # Its image is recorded only.
            "skep.dev/Honoured": "False",
        }
        assert "Started: Started container web" in source.events


@pytest.mark.anyio
async def test_missing_configuration_is_said_and_made_up_for(tmp_path: Path, switches: Path) -> None:
    source = FakeSource([pod_document("web-1", switches, envFrom=[{"configMapRef": {"name": "later"}}])])
    async with Agent(tmp_path, source):
        await until(lambda: "waiting" in source.container("web-1")["state"], "a status")
        await until(
            lambda: source.container("web-1")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError",
            "the reason",
        )
        assert "configmap 'later' not found" in source.container("web-1")["state"]["waiting"]["message"]
        source.configuration["configmaps", "shop", "later"] = {"data": {}}
        await until(lambda: source.is_ready("web-1"), "ready")


@pytest.mark.anyio
async def test_program_that_cannot_be_started_is_said(tmp_path: Path, switches: Path) -> None:
    source = FakeSource([pod_document("web-1", switches, command=["/no/such/program"])])
    async with Agent(tmp_path, source):
        await until(
            lambda: source.container("web-1")["state"].get("waiting", {}).get("reason") == "RunContainerError", "reason"
        )
        assert "/no/such/program: No such file" in source.container("web-1")["state"]["waiting"]["message"]


@pytest.mark.anyio
async def test_crashed_replica_restarts_at_once_and_then_backs_off(
    tmp_path: Path, switches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "CRASH_FIRST_S", 0.4)
    source = FakeSource([pod_document("web-1", switches, command=["sh", "-c", "echo run >&2; exit 7"])])
    async with Agent(tmp_path, source) as agent:
        await until(lambda: source.container("web-1")["restartCount"] >= 3, "three restarts")
        container = source.container("web-1")
        assert container["lastState"]["terminated"]["exitCode"] == 7
        reasons = [s["containerStatuses"][0]["state"].get("waiting", {}).get("reason") for _, s in source.history]
        assert "CrashLoopBackOff" in reasons
        waits = [event for event in source.events if event.startswith("BackOff")]
        assert waits
        assert agent.sidecars.story[:2] == ["attach", "failing"]
        await until(lambda: agent.pods.output_of("shop", "web-1")[1].is_file(), "output")
        assert agent.pods.output_of("shop", "web-1")[1].read_text() == "run\n"
        assert agent.pods.output_of("shop", "web-1", previous=True)[1].read_text() == "run\n"


@pytest.mark.anyio
async def test_failed_liveness_restarts_the_replica(tmp_path: Path, switches: Path) -> None:
    probe = {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    source = FakeSource([pod_document("web-1", switches, livenessProbe=probe, readinessProbe=HTTP_READY)])
    async with Agent(tmp_path, source) as agent:
        await until(lambda: source.is_ready("web-1"), "ready")
        before = await agent.pids()
        (switches / "live").touch()
        await until(lambda: source.container("web-1")["restartCount"] == 1, "the restart")
        (switches / "live").unlink()
        await until(lambda: source.is_ready("web-1"), "ready again")
        assert await agent.pids() != before
        assert "liveness probe failed" in source.container("web-1")["lastState"]["terminated"]["message"]
        assert any("Liveness probe failed" in event and "503" in event for event in source.events)


@pytest.mark.anyio
async def test_readiness_flips_without_a_restart(tmp_path: Path, switches: Path) -> None:
    (switches / "ready").touch()
    probe = {**HTTP_READY, "failureThreshold": 1}
    source = FakeSource([pod_document("web-1", switches, readinessProbe=probe)])
    async with Agent(tmp_path, source) as agent:
        await until(lambda: "running" in source.container("web-1")["state"], "running")
        assert not source.is_ready("web-1")
        (switches / "ready").unlink()
        await until(lambda: source.is_ready("web-1"), "ready")
        (switches / "ready").touch()
        await until(lambda: not source.is_ready("web-1"), "not ready")
        assert agent.sidecars.story == ["attach", "passing", "settled", "failing"]
        assert source.container("web-1")["restartCount"] == 0


@pytest.mark.anyio
async def test_startup_probe_holds_the_others_back_and_fails_in_the_end(tmp_path: Path, switches: Path) -> None:
    (switches / "up").touch()
    probe = {"exec": {"command": ["sh", "-c", 'test ! -e "$SWITCHES/up"']}, "periodSeconds": 1, "failureThreshold": 2}
    live = {"httpGet": {"path": "/up", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    source = FakeSource([pod_document("web-1", switches, startupProbe=probe, livenessProbe=live)])
    async with Agent(tmp_path, source):
        await until(lambda: source.container("web-1")["restartCount"] == 1, "the restart")
        assert "startup probe failed" in source.container("web-1")["lastState"]["terminated"]["message"]
        (switches / "up").unlink()
        await until(lambda: source.is_ready("web-1"), "ready")


@pytest.mark.anyio
async def test_deleted_pod_drains_before_it_stops(tmp_path: Path, switches: Path) -> None:
    source = FakeSource([pod_document("web-1", switches)])
    async with Agent(tmp_path, source) as agent:
        await until(lambda: source.is_ready("web-1"), "ready")
        terminated = switches / "terminated"
        settle = agent.sidecars.settle

        async def settled(*args: object, **options: object) -> bool:
            assert not terminated.exists()
            return await settle(*args, **options)  # type: ignore[arg-type]

        agent.sidecars.settle = settled  # type: ignore[method-assign]
        source.pods.set([])
        await until(lambda: not agent.pods.replicas(), "the end")
        assert terminated.exists()
        assert agent.sidecars.story == ["attach", "passing", "settled", "draining", "settled", "detach"]
        assert await agent.runtime.list() == []
        assert not list((tmp_path / "output").glob("shop/*"))
        assert not list((tmp_path / "pods").iterdir())
        with pytest.raises(NotFound):
            agent.pods.output_of("shop", "web-1")


@pytest.mark.anyio
async def test_stubborn_replica_is_killed_after_its_grace(tmp_path: Path, switches: Path) -> None:
    command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]
    source = FakeSource([pod_document("web-1", switches, command=command, grace=1)])
    async with Agent(tmp_path, source) as agent:
        await until(lambda: "running" in source.container("web-1")["state"], "running")
        source.pods.set([])
        await until(lambda: not agent.pods.replicas(), "the end")
        assert await agent.runtime.list() == []


@pytest.mark.anyio
async def test_replicas_restart_while_the_control_plane_is_away(tmp_path: Path, switches: Path) -> None:
    env = [{"name": "WHO", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "WHO"}}}]
    source = FakeSource([pod_document("web-1", switches, env=env)])
    source.configuration["configmaps", "shop", "settings"] = {"data": {"WHO": "world"}}
    async with Agent(tmp_path, source) as agent:
        await until(lambda: source.is_ready("web-1"), "ready")
        source.away = True
        before = (await agent.pids())["web-1"]
        os.kill(before, signal.SIGKILL)
        (replica,) = agent.pods.replicas()
        await until(lambda: replica.saved.view.restarts == 1 and replica.saved.view.ready, "ready again")
        assert (await environment_of(agent, "web-1"))["WHO"] == "world"
        assert source.container("web-1")["restartCount"] == 0
        source.away = False
        await until(lambda: source.container("web-1")["restartCount"] == 1, "the report")
        assert source.container("web-1")["lastState"]["terminated"]["exitCode"] == 137


@pytest.mark.anyio
async def test_attaching_is_tried_again(tmp_path: Path, switches: Path) -> None:
    source = FakeSource([pod_document("web-1", switches)])
    agent = Agent(tmp_path, source)
    agent.sidecars.failures = 2
    async with agent:
        await until(lambda: source.is_ready("web-1"), "ready")


@pytest.mark.anyio
async def test_next_agent_takes_over_after_kill_9(tmp_path: Path, switches: Path) -> None:
    documents = [pod_document(f"web-{n}", switches, readinessProbe=HTTP_READY) for n in (1, 2, 3)]
    (tmp_path / "pods.json").write_text(json.dumps(documents))
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.killable_agent", str(tmp_path / "agent"), str(tmp_path / "pods.json")),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert killed.stdout is not None
    async with asyncio.timeout(60):
        pids = json.loads(await killed.stdout.readline())
        killed.kill()
        await killed.wait()
    assert set(pids) == {"web-1", "web-2", "web-3"}
    os.kill(pids["web-3"], signal.SIGKILL)  # dies while no agent runs
    source = FakeSource(documents[1:])  # web-1 was deleted meanwhile
    async with Agent(tmp_path / "agent", source) as agent:
        await until(lambda: source.is_ready("web-2") and source.is_ready("web-3"), "ready")
        await until(lambda: len(agent.pods.replicas()) == 2, "web-1 to end")
        after = await agent.pids()
        assert set(after) == {"web-2", "web-3"}
        assert after["web-2"] == pids["web-2"]
        assert after["web-3"] != pids["web-3"]
        assert source.container("web-2")["restartCount"] == 0
        assert source.container("web-3")["restartCount"] == 1
        assert all(status["containerStatuses"][0]["ready"] for name, status in source.history if name == "web-2")
        os.kill(after["web-2"], signal.SIGKILL)  # an adopted one's exit is noticed
        await until(lambda: source.container("web-2")["restartCount"] == 1, "the restart")
    assert not is_running(pids["web-1"])
