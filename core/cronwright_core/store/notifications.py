"""LISTEN and NOTIFY: who waits for executions and log lines hears of them when they are committed.

Payloads are JSON lists: on `EXECUTION_CHANNEL` of {"execution_id", "task_id", "status"}, on `LOG_CHANNEL` of
{"execution_id", "attempt", "stream"}. A notification is a hint: whoever was not listening reads the tables.
"""

from __future__ import annotations

import json
import select as polling
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as PsycopgConnection
from sqlalchemy import Connection, text

from cronwright_core.store.errors import unavailable
from cronwright_core.store.records.system import Notification
from cronwright_core.store.session import connect_arguments, parse_url

EXECUTION_CHANNEL = "cronwright_execution"
LOG_CHANNEL = "cronwright_log"

_PAYLOAD_BYTES = 7000
"""PostgreSQL refuses payloads of 8000 bytes and more."""


def notify(connection: Connection, channel: str, items: Iterable[dict[str, Any]]) -> None:
    """Sends the items, as few notifications as they fit into, when the transaction commits; in one statement."""
    payloads = list(_payloads(items))
    if payloads:
        connection.execute(
            text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload"),
            {"channel": channel, "payloads": payloads},
        )


def _payloads(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    part: list[str] = []
    size = 2
    for item in items:
        encoded = json.dumps(item, separators=(",", ":"))  # ASCII, so characters are bytes
        if part and size + len(encoded) + 1 > _PAYLOAD_BYTES:
            yield f"[{','.join(part)}]"
            part, size = [], 2
        part.append(encoded)
        size += len(encoded) + 1
    if part:
        yield f"[{','.join(part)}]"


class Listener:
    """A connection that listens. For one thread at a time."""

    def __init__(self, connection: PsycopgConnection) -> None:
        self._connection = connection

    def wait(self, timeout_seconds: float) -> list[Notification]:
        """Returns what has come, at once if something is there; an empty list after the timeout.

        Raises:
            Unavailable: the connection is lost, and notifications with it; listen anew and read the tables.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                self._connection.poll()
            except psycopg2.Error:
                raise unavailable("the listening connection is lost") from None
            if self._connection.notifies:
                found = [Notification(item.channel, item.payload) for item in self._connection.notifies]
                self._connection.notifies.clear()
                return found
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return []
            poller = polling.poll()
            poller.register(self._connection.fileno(), polling.POLLIN | polling.POLLERR | polling.POLLHUP)
            poller.poll(max(1, round(remaining * 1000)))


@contextmanager
def listen(url: str, channels: Sequence[str], *, application_name: str = "cronwright-listener") -> Iterator[Listener]:
    """Listens on the channels over a connection of its own, from the moment the block is entered until it is left.

    Raises:
        Unavailable: the database cannot be reached.
    """
    parsed = parse_url(url)
    arguments: dict[str, Any] = {
        **parsed.translate_connect_args(database="dbname", username="user"),
        **dict(parsed.query),
    }
    arguments |= connect_arguments(application_name)
    try:
        connection = psycopg2.connect(**arguments)
    except psycopg2.Error:
        raise unavailable("no connection to listen on") from None
    try:
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for channel in channels:
                    cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except psycopg2.Error:
            raise unavailable("cannot listen") from None
        yield Listener(connection)
    finally:
        with suppress(psycopg2.Error):
            connection.close()
