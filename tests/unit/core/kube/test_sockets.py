"""Sockets that give up early on what the network does not take."""

from __future__ import annotations

import socket

from cronwright_core.kube.sockets import UNSEEN_SECONDS, open_socket


def test_unseen_bytes_are_given_up_by_the_kernel() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNSEEN_SECONDS * 1000
