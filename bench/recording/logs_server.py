"""An API server that has one thing: the log of a Pod. A process of its own, and as cheap as can be, since it shares the
machine with what is measured."""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_CHUNK = 32 * 1024
"""So large are the pieces in which an API server passes a log on."""
_END = 2 * 1024 * 1024
"""What is sent where `sinceTime` is given: more than the lines of the last two seconds."""


def make_server(file: Path, port: int) -> ThreadingHTTPServer:
    """Serves the file as stdout of every Pod; stderr is empty. With `sinceTime`, whichever it is, its end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            query = parse_qs(urlsplit(self.path).query)
            if query.get("stream") == ["Stdout"]:
                self._send_file(end_only="sinceTime" in query)
            self.connection.sendall(b"0\r\n\r\n")

        def _send_file(self, *, end_only: bool) -> None:
            size, offset = file.stat().st_size, 0
            with file.open("rb") as log:
                if end_only and size > _END:
                    log.seek(size - _END)
                    offset = size - _END + len(log.readline())
                while offset < size:
                    length = end = min(_CHUNK, size - offset)
                    self.connection.sendall(b"%x\r\n" % length)
                    while end:
                        sent = os.sendfile(self.connection.fileno(), log.fileno(), offset, end)
                        offset, end = offset + sent, end - sent
                    self.connection.sendall(b"\r\n")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    with make_server(Path(sys.argv[1]), int(sys.argv[2])) as server:
        print("ready", flush=True)
        server.serve_forever()
