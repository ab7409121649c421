"""Sockets to the API server that give up early on what the network does not take."""

from __future__ import annotations

import socket

from aiohttp import AddrInfoType

UNSEEN_SECONDS = 4.0
"""How long bytes may be under way without the other side's kernel having them.

After that the connection is broken off and they are never delivered. Without it the kernel repeats them for a quarter
of an hour, also after the process has closed the socket: when a cut network is mended, a write would arrive that was
decided long ago, and another operator may be active by then.
"""


def open_socket(address: AddrInfoType) -> socket.socket:
    """A socket for aiohttp's connector, not connected yet."""
    family, type_, protocol, _, _ = address
    opened = socket.socket(family=family, type=type_, proto=protocol)
    # Linux only (tcp(7)); elsewhere there is nothing like it, and operators run on Linux.
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        opened.setsockopt(socket.IPPROTO_TCP, option, int(UNSEEN_SECONDS * 1000))
    return opened
