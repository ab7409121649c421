"""A stretch of time as whole days and cut ones; no database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.store.execution_pages import window_of

MOMENTS = st.integers(0, 7 * 86400 * 1000).map(
    lambda milliseconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


def at(day: int, *clock: int) -> datetime:
    return datetime(2026, 1, day, *clock, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "first", "last", "edges"),
    [
        (at(2), at(4, 23, 59, 59), 2, 4, ()),
        (at(2), at(2, 23, 59, 59), 2, 2, ()),
        (at(2, 12), at(4, 23, 59, 59), 3, 4, ((at(2, 12), at(2, 23, 59, 59)),)),
        (at(2), at(4, 12), 2, 3, ((at(4), at(4, 12)),)),
        (at(2, 1), at(3, 1), 3, 2, ((at(2, 1), at(2, 23, 59, 59)), (at(3), at(3, 1)))),
        (at(2, 1), at(2, 3), 2, 1, ((at(2, 1), at(2, 3)),)),
        (at(3), at(2), 3, 2, ()),
    ],
)
def test_whole_days_and_the_rest(start, end, first, last, edges) -> None:
    window = window_of(start, end)
    assert (window.first, window.last, window.edges) == (date(2026, 1, first), date(2026, 1, last), edges)


@settings(deadline=None)  # a busy machine
@given(st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_every_second_lies_in_exactly_one_part_or_outside(start, end, moment) -> None:
    moment = moment.replace(microsecond=0)
    window = window_of(start, end)
    parts = sum(low <= moment <= high for low, high in window.edges)
    parts += window.first <= moment.date() <= window.last
    assert parts == ((start is None or moment >= start) and (end is None or moment <= end))


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_are_no_trouble(moment) -> None:
    for start, end in ((moment, None), (None, moment), (moment, moment)):
        window_of(start, end)
