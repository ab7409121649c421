"""The active operator's sign of life, from which the API tells whether anybody schedules, and operators whose database
it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from cronwright_core.store.columns import AnyRow
from cronwright_core.store.models import operator_heartbeat
from cronwright_core.store.records.system import Heartbeat
from cronwright_core.store.session import Database

_ROW = 1


class HeartbeatStore:
    """One row, written by whoever leads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(
        self,
        *,
        installation: str | None,
        holder: str,
        version: str,
        tz_release: str,
        details: Mapping[str, Any],
        now: datetime,
        silent_before: datetime,
    ) -> Heartbeat | None:
        """Writes the sign of life; a later one stays if this one comes late. Raises Unavailable.

        That of another installation stays too, unless it is older than `silent_before`, and is returned. One without a
        name may be anybody's: it was written by a release that did not know of this.
        """
        values = {
            "installation": installation,
            "holder": holder,
            "version": version,
            "tz_release": tz_release,
            "details": dict(details),
            "time": now,
        }
        stored = operator_heartbeat.c
        ours = or_(stored.installation.is_(None), stored.installation == installation, stored.time < silent_before)
        with self._database.transaction() as connection:
            written = connection.execute(
                upsert(operator_heartbeat)
                .values(id=_ROW, **values)
                .on_conflict_do_update(
                    constraint=operator_heartbeat.primary_key, set_=values, where=and_(stored.time <= now, ours)
                )
                .returning(stored.id)
            ).one_or_none()
            if written is not None:
                return None
            other = connection.execute(select(operator_heartbeat).where(~ours)).one_or_none()
        return None if other is None else to_heartbeat(other)

    def last(self) -> Heartbeat | None:
        """The last sign of life, or None if no operator ever led here. Raises Unavailable."""
        row = self._database.read(lambda connection: connection.execute(select(operator_heartbeat)).one_or_none())
        return None if row is None else to_heartbeat(row)


def to_heartbeat(row: AnyRow) -> Heartbeat:
    """From a row with the columns of `operator_heartbeat`."""
    return Heartbeat(
        holder=row.holder,
        version=row.version,
        time=row.time,
        tz_release=row.tz_release,
        details=row.details,
        installation=row.installation,
    )
