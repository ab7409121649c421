"""The plans of the very statements that a call sends, for tests that say which index serves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy import event

from cronwright_core.store.prepared import sent_whole
from cronwright_core.store.session import Database


def plans_of(database: Database, url: str, call: Callable[[], Any]) -> list[str]:
    """Runs `call` and returns EXPLAIN's text for each of its SELECTs, in order."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        with sent_whole():
            call()
    finally:
        event.remove(database._engine, "before_cursor_execute", note)
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            plans = []
            for statement, parameters in sent:
                if statement.lstrip().startswith(("SELECT", "WITH")):
                    cursor.execute(f"EXPLAIN {statement}", parameters)
                    plans.append("\n".join(line for (line,) in cursor.fetchall()))
            return plans
    finally:
        connection.close()
