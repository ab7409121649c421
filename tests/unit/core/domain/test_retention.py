"""Whose executions go when: months after the longest retention, rows after each shorter one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cronwright_core.domain.retention import FOREVER, Retention, Share


@pytest.mark.parametrize(
    ("default", "projects", "longest"),
    [
        (400, {}, 400),
        (400, {1: 30}, 400),
        (30, {1: 400, 2: 90}, 400),
        (400, {1: FOREVER}, FOREVER),
        (FOREVER, {1: 30}, FOREVER),
    ],
)
def test_the_longest_counts_for_months(default: int, projects: dict[int, int], longest: int) -> None:
    assert Retention(default, projects).longest_days == longest


@pytest.mark.parametrize(
    ("month", "end"), [(11, datetime(2026, 12, 1, tzinfo=UTC)), (12, datetime(2027, 1, 1, tzinfo=UTC))]
)
def test_a_month_has_passed_when_its_last_moment_has(month: int, end: datetime) -> None:
    retention = Retention(30, {})
    passed = end + timedelta(days=30)
    assert retention.has_passed(2026, month, passed)
    assert not retention.has_passed(2026, month, passed - timedelta(seconds=1))
    assert not Retention(30, {7: FOREVER}).has_passed(2026, month, passed + timedelta(days=9999))


def test_rows_go_for_those_alone_whose_retention_is_shorter() -> None:
    assert Retention(400, {}).shares() == []
    assert Retention(400, {3: 30, 1: 30, 2: 400, 4: 90}).shares() == [
        Share(30, (1, 3), rest=False),
        Share(90, (4,), rest=False),
    ]


def test_the_rest_keeps_its_own_time_where_one_project_keeps_longer() -> None:
    assert Retention(400, {5: FOREVER, 6: 10}).shares() == [
        Share(10, (6,), rest=False),
        Share(400, (5, 6), rest=True),
    ]
    assert Retention(FOREVER, {5: 10}).shares() == [Share(10, (5,), rest=False)]
