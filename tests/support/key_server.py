"""An identity provider's key set behind a real address, and the ways in which such an address can misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """Answers `body` with `status`; `drip` sends it byte by byte, without an end."""

    def __init__(self) -> None:
        self.body = b'{"keys": []}'
        self.status = 200
        self.drip = False
        self.requests: list[str] = []
        self._ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                self.send_response(outer.status)
                if outer.status in (301, 302):
                    self.send_header("Location", "/elsewhere")
                if not outer.drip:
                    self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                while outer.drip and not outer._ended.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                self.wfile.write(outer.body)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The address of the key set."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    @contextmanager
    def running(self) -> Iterator[KeyServer]:
        """Serves while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def until(condition: object, *, seconds: float = 15) -> None:
    """Waits until `condition()` is true; fails when it takes too long."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
