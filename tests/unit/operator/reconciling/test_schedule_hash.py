"""What counts as another schedule: the API shows the next run after an edit, so it must judge as the operator does."""

from __future__ import annotations

from itertools import product

from cronwright_core.domain.schedule import ScheduleType
from cronwright_operator.reconciling.reconcile import schedule_hash
from support.builders import make_task

SCHEDULES = [
    (ScheduleType.CRON, "0 2 * * *"),
    (ScheduleType.CRON, "0 3 * * *"),
    (ScheduleType.INTERVAL, "3600"),
    (ScheduleType.DATE, "2026-04-01T00:00:00"),
    (ScheduleType.ONCE, "2026-04-01T00:00:00"),
    (ScheduleType.ONCE, ""),
]


def test_the_hash_tells_apart_what_the_timing_of_the_spec_does() -> None:
    tasks = [
        make_task(type_, text, time_zone=zone, priority=priority)
        for (type_, text), zone, priority in product(SCHEDULES, ("UTC", "Asia/Shanghai"), (0, 1))
    ]
    for one, other in product(tasks, tasks):
        assert (schedule_hash(one) == schedule_hash(other)) == (one.spec.timing == other.spec.timing)
