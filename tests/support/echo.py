"""A service in a thread that answers with what it saw: JSON of the request, WebSocket echoes, server-sent events, late answers."""

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo(ThreadingHTTPServer):
    """One service: its name and the requests it saw."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.seen: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers may leave before the answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        echo = cast(Echo, self.server)
        length = int(self.headers.get("content-length") or 0)
        saw = {
            "app": echo.name,
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): ",".join(self.headers.get_all(name, ())) for name in self.headers},
            "body": self.rfile.read(length).decode(),
        }
        echo.seen.append(saw)
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._websocket()
        elif self.path.startswith("/events"):
            self._events()
        else:
            self._plain(saw)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _answer  # noqa: N815  the server's names

    def _plain(self, saw: dict[str, Any]) -> None:
        time.sleep(float(self.headers.get("x-delay", "0")))
        body = json.dumps(saw).encode()
        self.send_response(int(self.headers.get("x-status", "200")))
        self.send_header("content-length", str(len(body)))
        self.send_header("x-old", "old")
        self.send_header("x-gone", "gone")
        self.end_headers()
        self.wfile.write(body)

    def _events(self) -> None:
        """One event now, the next when the caller had time to read the first."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in range(2):
            self.wfile.write(f"data: {number} at {time.perf_counter()}\n\n".encode())
            time.sleep(2)
        self.close_connection = True

    def _websocket(self) -> None:
        accept = hashlib.sha1(self.headers["sec-websocket-key"].encode() + _WEBSOCKET).digest()
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(accept).decode())
        self.end_headers()
        self.connection.settimeout(10)
        while chunk := self.connection.recv(4096):  # bytes come back as they are: the proxy must not touch them
            self.connection.sendall(chunk[::-1])
        self.connection.shutdown(socket.SHUT_WR)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def echo(name: str) -> Iterator[Echo]:
    """Run an echoing service for the length of a `with` block."""
    server = Echo(name)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
