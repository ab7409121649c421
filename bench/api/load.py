"""A client that costs little, in a process of its own: `python3 -m bench.api.load PORT CLIENTS SECONDS`.

One thread, raw sockets and a selector: a request is bytes made ahead, an answer is read until its Content-Length is
there. Each of CLIENTS connections sends its next request when its answer has come. Reads requests (JSON: a list of
paths, and headers) from stdin; writes latencies in seconds and its own CPU time, as JSON.
"""

from __future__ import annotations

import itertools
import json
import resource
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WARM_UP = 0.2
"""The share of the time whose requests do not count."""


@dataclass
class Connection:
    """One client: what it waits for, and since when."""

    socket: socket.socket
    sent: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    missing: int | None = None
    """Bytes that the answer has still to bring; None while its head is incomplete."""


class Requests:
    """The requests as bytes, over and over; counts them."""

    def __init__(self, paths: Sequence[str], headers: dict[str, str]) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made = [f"GET {path} HTTP/1.1\r\nHost: bench\r\n{lines}\r\n".encode() for path in paths]
        self._endless = itertools.cycle(made)
        self.count = 0

    def next(self) -> bytes:
        """The next one."""
        self.count += 1
        return next(self._endless)


def take(connection: Connection) -> bool:
    """Reads what has come; True if the answer is whole. Raises RuntimeError if it is no 200."""
    data = connection.socket.recv(262_144)
    if not data:
        raise RuntimeError("the server closed a connection")
    connection.received += data
    if connection.missing is None:
        end = connection.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(connection.received[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"not 200: {bytes(connection.received[:500])!r}")
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        connection.missing = end + 4 + length
    return len(connection.received) >= connection.missing


def run(port: int, clients: int, seconds: float, requests: Requests) -> list[float]:
    """Latencies of the requests that were sent after the warm-up."""
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:

        def send(connection: Connection) -> None:
            connection.received.clear()
            connection.missing = None
            connection.sent = time.perf_counter()
            connection.socket.sendall(requests.next())

        for _ in range(clients):
            opened = socket.create_connection(("127.0.0.1", port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(opened, selectors.EVENT_READ, Connection(opened))
        started = time.perf_counter()
        counted_from, until = started + WARM_UP * seconds, started + seconds
        for key in list(selector.get_map().values()):
            send(key.data)
        waiting = clients
        while waiting:
            for key, _ in selector.select(timeout=30) or _stuck():
                connection: Connection = key.data
                if not take(connection):
                    continue
                now = time.perf_counter()
                if connection.sent >= counted_from:
                    latencies.append(now - connection.sent)
                if now < until:
                    send(connection)
                else:
                    waiting -= 1
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return latencies


def _stuck() -> Any:
    raise RuntimeError("no answer for 30 s")


def main(port: int, clients: int, seconds: float) -> None:
    """Runs one load."""
    given = json.load(sys.stdin)
    requests = Requests(given["paths"], given["headers"])
    latencies = run(port, clients, seconds, requests)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    json.dump({"latencies": latencies, "cpu_seconds": cpu, "requests": requests.count}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
