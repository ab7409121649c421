"""The active operator's sign of life, from which the API tells whether anybody schedules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import operator_heartbeat
from cronwright_core.store.records import Heartbeat
from cronwright_core.store.session import Database

_ROW = 1


class HeartbeatStore:
    """One row, written by whoever leads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, *, holder: str, version: str, tz_release: str, details: Mapping[str, Any], now: datetime) -> None:
        """Writes the sign of life; a later one stays if this one comes late. Raises Unavailable."""
        values = {
            "holder": holder,
            "version": version,
            "tz_release": tz_release,
            "details": dict(details),
            "time": now,
        }
        with self._database.transaction() as connection:
            connection.execute(
                upsert(operator_heartbeat)
                .values(id=_ROW, **values)
                .on_conflict_do_update(
                    constraint=operator_heartbeat.primary_key, set_=values, where=operator_heartbeat.c.time <= now
                )
            )

    def last(self) -> Heartbeat | None:
        """The last sign of life, or None if no operator ever led here. Raises Unavailable."""
        row = self._database.read(lambda connection: connection.execute(select(operator_heartbeat)).one_or_none())
        return None if row is None else to_heartbeat(row)


def to_heartbeat(row: AnyRow) -> Heartbeat:
    """From a row with the columns of `operator_heartbeat`."""
    return Heartbeat(
        holder=row.holder, version=row.version, time=row.time, tz_release=row.tz_release, details=row.details
    )
