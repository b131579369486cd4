"""Answers every request with who it is: enough to see where a call went. Needs nothing but Python."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    """Says hello."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the greeting, the version and the path that arrived."""
        answer = {
            "greeting": os.environ.get("GREETING", "hello"),
            "version": os.environ.get("VERSION", "v1"),
            "path": self.path,
        }
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Write one line per call to stdout, where `skep logs` finds it."""
        print(format % args, flush=True)


class Server(ThreadingHTTPServer):
    """Finishes what it has begun before it ends."""

    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    """Serve on PORT until SIGTERM."""
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Hello)
    stopper = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stopper.start())
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
    stopper.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
