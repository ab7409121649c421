"""Months and their partitions' names; no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cronwright_core.store.partitions import KnownMonths, month_of, partition_name, shift, upcoming_months


@pytest.mark.parametrize(
    ("month", "count", "expected"),
    [
        ((2026, 1), -1, (2025, 12)),
        ((2026, 12), 1, (2027, 1)),
        ((2026, 12), 13, (2028, 1)),
        ((2026, 5), 0, (2026, 5)),
        ((2026, 3), -27, (2023, 12)),
    ],
)
def test_shift(month, count, expected) -> None:
    assert shift(month, count) == expected


def test_the_month_is_that_of_utc() -> None:
    assert month_of(datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=8)))) == (2025, 12)


def test_the_months_made_ahead() -> None:
    assert upcoming_months(datetime(2026, 12, 31, tzinfo=UTC)) == [(2026, 11), (2026, 12), (2027, 1), (2027, 2)]


def test_the_name_sorts_by_time() -> None:
    assert partition_name("log_chunks", (2026, 3)) == "log_chunks_y2026m03"


def test_known_months_are_asked_for_once() -> None:
    known = KnownMonths()
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert known.unknown([now]) == {(2026, 3)}
    known.add({(2026, 3)})
    assert known.unknown([now]) == set()
    known.forget()
    assert known.unknown([now]) == {(2026, 3)}
