"""Ports of loopback for servers that are told theirs before they start."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _OF_A_WORKER = 22_000, 500
"""Above those of the local cluster (dev/cluster/settings.py), below NodePorts and what the kernel chooses from."""
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = itertools.count()


def free_port() -> int:
    """A port that nobody listens on now, and that this run's workers give to nobody else.

    None of the kernel's choice: it may choose the same one for somebody else until the server listens, which takes
    a second or two, while other workers start servers and open connections by the hundred.
    """
    for number in itertools.islice(_numbers, _OF_A_WORKER):
        port = _FIRST + _WORKER % 16 * _OF_A_WORKER + number % _OF_A_WORKER
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no port of this worker's {_OF_A_WORKER} is free")
