"""A tiny HTTP program for tests of replicas. `/NAME` answers 503 while the file NAME exists in $SWITCHES, else its environment."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

ENV = dict(os.environ)  # noqa: TID251  this is what the tests look at
SWITCHES = Path(ENV["SWITCHES"])


class App(BaseHTTPRequestHandler):
    """Answers."""

    def do_GET(self) -> None:
        bad = (SWITCHES / self.path.strip("/")).is_file()
        body = json.dumps(ENV).encode()
        self.send_response(503 if bad else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        print("asked", self.path, flush=True)


def main() -> None:
    """Serve until SIGTERM; note that in a file."""
    server = ThreadingHTTPServer(("127.0.0.1", int(ENV["PORT"])), App)

    def stop(number: int, frame: FrameType | None) -> None:
        (SWITCHES / "terminated").touch()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print("serving", *sys.argv[1:], flush=True)
    server.serve_forever(poll_interval=0.02)


main()
