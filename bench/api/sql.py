"""The bare SQL of an answer: the very statements that the stores send, over plain psycopg2 connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from sqlalchemy import event

from cronwright_core.store.prepared import sent_whole
from cronwright_core.store.session import Database

Statement = tuple[str, Any]


def statements_of(database: Database, read: Callable[[], object]) -> list[Statement]:
    """What `read` sends."""
    sent: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        with sent_whole():
            read()
    finally:
        event.remove(database._engine, "before_cursor_execute", note)
    return sent


def run(url: str, clients: int, seconds: float, statements: list[Statement]) -> list[float]:
    """Latencies of all statements of an answer together, with all rows fetched."""

    def client(_: int) -> list[float]:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        latencies = []
        until = time.perf_counter() + seconds
        with connection.cursor() as cursor:
            while (now := time.perf_counter()) < until:
                for statement, parameters in statements:
                    cursor.execute(statement, parameters)
                    cursor.fetchall()
                latencies.append(time.perf_counter() - now)
        connection.close()
        return latencies

    with ThreadPoolExecutor(clients) as pool:
        return [latency for latencies in pool.map(client, range(clients)) for latency in latencies]
