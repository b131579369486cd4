"""`make demo`, as a newcomer types it: it shows the table, loses no ride and leaves nothing running."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.installation import ROOT, leftovers

LIMIT_S = 240


def demo_env(directory: Path) -> dict[str, str]:
    """Return an environment in which the demo's directories are below ours."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LC_ALL": "C.UTF-8",
    }


def test_the_demo_shows_a_governed_company_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", "DEMO_SECONDS=15"],
        cwd=ROOT, env=demo_env(tmp_path), capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rides = re.search(r"(\d+) rides, 0 failed", done.stdout)
    assert rides, done.stdout
    assert int(rides[1]) > 100
    assert "with coupons v1" in done.stdout
    assert "with coupons v2" in done.stdout
    assert "order-grabbing" in done.stdout
    assert leftovers(tmp_path) == []
    assert list(tmp_path.glob("skep-demo-*")) == []


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as stream:
        demo = subprocess.Popen(
            [sys.executable, "examples/demo.py"],
            cwd=ROOT, env=demo_env(tmp_path), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        deadline = time.perf_counter() + LIMIT_S
        while "order-grabbing" not in output.read_text():
            assert demo.poll() is None, output.read_text()
            assert time.perf_counter() < deadline, output.read_text()
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0, output.read_text()
    finally:
        demo.terminate()
        demo.wait(60)
    assert "nothing is left running" in output.read_text()
    assert leftovers(tmp_path) == []
