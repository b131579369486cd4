"""Starts the platform on this machine with the ride-hailing company under load, and shows the live table.

Uses nothing but the `skep` command and the load generator. Everything it starts has ended when it ends, on Ctrl-C too;
its data lives in a directory of its own that is removed. `--seconds` ends it by itself.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
MANIFESTS = HERE / "ride_hailing" / "manifests"
NAMESPACE = "rides"
HOST = "rides.example"
PORTS = {
    "SKEP_HTTP_PORT": (7400, "the API"),
    "SKEP_GRPC_PORT": (7401, "the proxies' configuration"),
    "SKEP_GATEWAY_HTTP_PORT": (8080, "the gateway"),
    "SKEP_GATEWAY_HTTPS_PORT": (8443, "the gateway with TLS"),
}
START_S = 60
READY_S = 180
STOP_S = 45


class Failed(Exception):
    """The demo cannot go on; says why."""


def say(text: str) -> None:
    """Tell the user."""
    print(text, flush=True)


def is_free(port: int) -> bool:
    """Say whether this port of the loopback address can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_ports() -> dict[str, str]:
    """Return the settings for the ports: the usual ones, or free ones where those are taken."""
    chosen = {}
    for setting, (usual, what) in PORTS.items():
        port = usual if is_free(usual) else free_port()
        if port != usual:
            say(f"  port {usual} is taken: {what} listens on {port}")
        chosen[setting] = str(port)
    return chosen


def skep_command() -> str:
    """Return what the user types for `skep`: the one of this repository, when it is there."""
    own = Path(".venv/bin/skep")
    return str(own) if (HERE.parent / own).exists() else "skep"


class Demo:
    """The programs that were started, and how to stop them."""

    def __init__(self, directory: Path, rate: float) -> None:
        self.directory = directory
        self.rate = rate
        settings = {"SKEP_DATA_DIR": str(directory / "skep"), **choose_ports()}
        self.env = {**os.environ, **settings, "PYTHONPATH": str(HERE)}
        self.api = f"http://127.0.0.1:{settings['SKEP_HTTP_PORT']}"
        self.gateway = f"http://127.0.0.1:{settings['SKEP_GATEWAY_HTTP_PORT']}"
        self.log = directory / "skep-up.log"
        self.summary = directory / "load.json"
        self.up: subprocess.Popen[bytes] | None = None
        self.load: subprocess.Popen[bytes] | None = None

    def skep(self, *arguments: str, limit_s: float = 60) -> str:
        """Run `skep` with arguments and return what it printed."""
        done = subprocess.run(["skep", *arguments], env=self.env, capture_output=True, text=True, timeout=limit_s)
        if done.returncode:
            raise Failed(f"skep {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(self) -> None:
        """Start the platform and wait until it answers."""
        say("starting the platform: skep up")
        with self.log.open("wb") as log:
            # In a session of its own: Ctrl-C reaches this program, which stops the rest in order.
            self.up = subprocess.Popen(
                ["skep", "up"], cwd=HERE.parent, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        began = time.monotonic()
        while not self._answers():
            self.check()
            if time.monotonic() - began > START_S:
                raise Failed(f"the platform did not answer within {START_S} s")
            time.sleep(0.1)
        say(f"  it answers after {time.monotonic() - began:.1f} s at {self.api}")

    def check(self) -> None:
        """Fail when the platform has ended."""
        if self.up is None or self.up.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-15:]
            raise Failed("`skep up` ended:\n  " + "\n  ".join(lines))

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.api}/readyz", timeout=2) as answer:  # the address is our own
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def deploy(self) -> None:
        """Apply the manifests, with the state below our own directory, and wait until all of it serves."""
        manifests = self.directory / "manifests"
        shutil.copytree(MANIFESTS, manifests)
        settings = manifests / "00-settings.yaml"
        settings.write_text(settings.read_text().replace("../.cache/ride_hailing", str(self.directory / "rides")))
        say("deploying the ride-hailing company:")
        say(f"  skep apply -f {MANIFESTS.relative_to(HERE.parent)}")
        self.skep("apply", "-f", str(manifests))
        began, former = time.monotonic(), ""
        while True:
            self.check()
            ready, wanted, waiting = self._replicas()
            if wanted and ready == wanted:
                break
            if time.monotonic() - began > READY_S:
                raise Failed(f"after {READY_S} s still not available: {', '.join(waiting)}")
            line = f"  {ready} of {wanted} replicas ready, each beside its Envoy"
            if line != former:
                say(line)
            former = line
            time.sleep(0.5)
        say(f"  {ready} of {wanted} replicas ready after {time.monotonic() - began:.0f} s")
        self._first_ride()

    def _replicas(self) -> tuple[int, int, list[str]]:
        listed: dict[str, Any] = json.loads(self.skep("get", "deployments", "-n", NAMESPACE, "-o", "json"))
        ready = wanted = 0
        waiting = []
        for deployment in listed["items"]:
            replicas = deployment["spec"].get("replicas", 1)
            available = deployment.get("status", {}).get("availableReplicas", 0)
            wanted += replicas
            ready += available
            if available < replicas:
                waiting.append(deployment["metadata"]["name"])
        return ready, wanted, waiting

    def _first_ride(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            self.check()
            tried = subprocess.run(
                self._load_command("--seconds", "1", rate=1), env=self.env, capture_output=True, text=True, timeout=60
            )
            if tried.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise Failed(f"no ride comes to its end: {tried.stdout.strip()} {tried.stderr.strip()}")

    def _load_command(self, *options: str, rate: float) -> list[str]:
        command = [sys.executable, "-m", "ride_hailing.load", "--quiet", "--url", self.gateway, "--host", HOST]
        return [*command, "--rate", str(rate), *options]

    def drive(self, seconds: float | None) -> None:
        """Send rides and show the table until the time is over or the user has seen enough."""
        say(f"sending {self.rate:g} rides a second to {self.gateway} (Host: {HOST})")
        say("Ctrl-C ends everything; until then look around from another terminal:")
        say(f"  export SKEP_DATA_DIR={self.env['SKEP_DATA_DIR']}")
        say(f"  {skep_command()} get pods -n {NAMESPACE}\n")
        with self.summary.open("wb") as summary:
            self.load = subprocess.Popen(
                self._load_command(rate=self.rate), env=self.env, stdout=summary, start_new_session=True
            )
        table = subprocess.Popen(["skep", "top", "-n", NAMESPACE], env=self.env, stdin=subprocess.DEVNULL)
        try:
            end = None if seconds is None else time.monotonic() + seconds
            while end is None or time.monotonic() < end:
                self.check()
                if table.poll() is not None:
                    raise Failed(f"`skep top` ended with status {table.returncode}")
                if self.load.poll() is not None:
                    raise Failed("the load generator ended")
                time.sleep(0.2)
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                table.wait(1)  # at a terminal Ctrl-C reached it too, and it is putting the screen in order
            raise
        finally:
            stop(table, signal.SIGINT, 10)

    def end(self) -> bool:
        """Stop everything in order; say how the rides went and whether all is gone."""
        say("\nstopping")
        if self.load is not None:
            stop(self.load, signal.SIGTERM, 20)
        if self.up is not None:
            stop(self.up, signal.SIGTERM, STOP_S)
        good = self._sum_up()
        left = leftovers(str(self.directory))
        for pid, command in left:
            say(f"  still running, now killed: {pid} {command}")
            os.kill(pid, signal.SIGKILL)
        if not left:
            say("  nothing is left running")
        return good and not left

    def _sum_up(self) -> bool:
        lines = self.summary.read_text().splitlines() if self.summary.is_file() else []
        if not lines:
            say("  no ride was begun")
            return True
        sums = json.loads(lines[-1])
        mix = ", ".join(f"{count} with coupons {version}" for version, count in sums["coupons"].items())
        say(f"  {sums['rides']} rides, {sums['failed']} failed; p50 {sums['p50_ms']} ms, p99 {sums['p99_ms']} ms")
        say(f"  {mix or 'no ride came to its end'}")
        for error, count in sums["errors"].items():
            say(f"  {count} x {error}")
        return bool(sums["failed"] == 0)


def stop(process: subprocess.Popen[bytes], number: signal.Signals, limit_s: float) -> None:
    """Ask a process to end; kill it when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        say(f"  {process.args!r} did not end within {limit_s:g} s")
        process.kill()
        process.wait()


def leftovers(mark: str) -> list[tuple[int, str]]:
    """Return the processes, but for this one, that name our directory in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if mark.encode() in command or mark.encode() in environment:
            found.append((int(entry.name), command.replace(b"\0", b" ").decode(errors="replace").strip()))
    return found


def run(options: argparse.Namespace) -> int:
    """Run the demo from start to end; return the exit status."""
    directory = Path(tempfile.mkdtemp(prefix="skep-demo-"))
    demo: Demo | None = None
    failure = ""
    try:
        demo = Demo(directory, options.rate)
        demo.start()
        demo.deploy()
        demo.drive(options.seconds)
    except KeyboardInterrupt:
        pass
    except (Failed, subprocess.TimeoutExpired, FileNotFoundError) as error:
        failure = str(error)
        say(f"demo: {failure}")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stopping
        good = demo.end() if demo is not None else False
    if failure or not good:
        say(f"demo: what was written is kept in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


def interrupted(_number: int, _frame: object) -> None:
    """End in order."""
    raise KeyboardInterrupt


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=None, help="end after this long; on Ctrl-C when not given")
    parser.add_argument("--rate", type=float, default=10.0, help="rides per second")
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: shells let background jobs ignore it
        signal.signal(number, interrupted)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
