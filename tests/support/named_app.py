"""A small service: answers every GET with 200 and its name; asks another service at /ask?<url> and passes its answer on.

Started as a command: `python -m tests.support.named_app NAME`; listens on PORT, calls through http_proxy.
"""

import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece: one that is cut in the middle can be tried again by nobody

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        body = sys.argv[1].encode()
        if path == "/ask":
            with urllib.request.urlopen(query, timeout=10) as answer:
                body += b" asked " + answer.read()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    _Server(("127.0.0.1", int(os.environ["PORT"])), _Handler).serve_forever()  # noqa: TID251  a program of its own
