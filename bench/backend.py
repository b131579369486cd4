"""The cheapest service there is: an Envoy that answers every request itself with two bytes."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.platform import free_ports


@contextmanager
def envoy(config: dict[str, Any], ready_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an Envoy with a static configuration on one worker; wait until the URL answers."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, tempfile.TemporaryFile() as log:
        json.dump(config, file)
        file.flush()
        command = [str(Path(sys.executable).with_name("envoy")), "-c", file.name, "--concurrency", "1",
                   "--disable-hot-restart", "-l", "error"]  # fmt: skip
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            try:
                wait_for(ready_url)
            except TimeoutError as error:
                log.seek(0)
                raise RuntimeError(f"{error}; Envoy said:\n{log.read().decode()}") from error
            yield process
        finally:
            process.terminate()
            process.wait(10)


def main() -> None:
    """Run the service at the port given, in place of this process."""
    port = int(sys.argv[1])
    config = json.dumps({"static_resources": {"listeners": [answering(port)]}})
    binary = str(Path(sys.executable).with_name("envoy"))
    os.execv(binary, [binary, "--config-yaml", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])


@contextmanager
def backend() -> Iterator[int]:
    """Run the service; yields its port."""
    (port,) = free_ports(1)
    with envoy({"static_resources": {"listeners": [answering(port)]}}, f"http://127.0.0.1:{port}/"):
        yield port


def answering(port: int) -> dict[str, Any]:
    """Return a listener that answers 200 with the body `ok`."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "backend",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": "backend",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def wait_for(url: str, limit_s: float = 20.0, headers: dict[str, str] | None = None) -> None:
    """Wait until a URL answers 200."""
    deadline = time.monotonic() + limit_s
    said: object = "nothing"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=2):
                return
        except urllib.error.HTTPError as error:
            said = error
            error.close()
        except OSError as error:
            said = error
        time.sleep(0.02)
    raise TimeoutError(f"{url} did not answer 200 within {limit_s:g} s: {said}")


if __name__ == "__main__":
    main()
