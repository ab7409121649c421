"""Which ticks run and which are accounted for as skipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.schedule import Schedule, ScheduleType, parse_schedule
from cronwright_core.domain.ticks import (
    MAX_SKIPPED_ROWS,
    due_ticks,
    is_spread,
    never_comes,
    next_start,
    spread_offset,
    start_offset,
)

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTELY = parse_schedule(ScheduleType.CRON, "* * * * *", "UTC")
EACH_100_S = parse_schedule(ScheduleType.INTERVAL, "100", "UTC")


def test_the_tick_of_this_moment_runs() -> None:
    due = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + MINUTE)
    assert (due.run, due.skipped, due.watermark) == (T0 + MINUTE, (), T0 + MINUTE)
    assert due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + timedelta(seconds=59)).watermark is None


def test_a_tick_that_has_its_job_is_not_run_again() -> None:
    due = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + 3 * MINUTE, made={T0 + MINUTE, T0 + 3 * MINUTE})
    assert due.run is None
    assert due.watermark == T0 + 3 * MINUTE
    assert [(skip.tick, skip.reason) for skip in due.skipped] == [(T0 + 2 * MINUTE, "MissedSchedule")]


def test_of_an_absence_the_newest_runs_and_the_rest_is_told() -> None:
    due = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + timedelta(days=2))
    assert due.run == T0 + timedelta(days=2)
    assert len(due.skipped) == MAX_SKIPPED_ROWS + 1
    total = 2 * 1440
    assert due.skipped[0].message.startswith(
        f"{total - 1 - MAX_SKIPPED_ROWS} runs from 2026-03-02T10:01:00Z to 2026-03-04T08:19:00Z: "
    )


def test_a_summary_counts_only_what_did_not_run() -> None:
    made = {T0 + n * MINUTE for n in range(1, 200)}
    due = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + 301 * MINUTE, made=made)
    summary = due.skipped[0]
    assert summary.message.startswith("1 runs from ")
    assert (summary.count, summary.tick) == (1, T0 + 200 * MINUTE)
    everything = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + 200 * MINUTE, made=made)
    assert (everything.run, everything.skipped) == (T0 + 200 * MINUTE, ())
    # A run is known by its time, so the row must not stand at that of another one.
    later = {T0 + n * MINUTE for n in range(2, 201)}
    (summary, *_) = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + 301 * MINUTE, made=later).skipped
    assert (summary.count, summary.tick) == (1, T0 + 200 * MINUTE - timedelta(seconds=1))


def test_too_late_is_skipped() -> None:
    due = due_ticks(EACH_100_S, base=T0, anchor=T0, now=T0 + timedelta(seconds=161), deadline_seconds=60)
    assert (due.run, due.skipped[0].reason) == (None, "StartingDeadlineExceeded")
    assert due_ticks(EACH_100_S, base=T0, anchor=T0, now=T0 + timedelta(seconds=160), deadline_seconds=60).run


def test_spread_moves_the_start_and_not_the_tick() -> None:
    offset = timedelta(seconds=25)
    early = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + timedelta(seconds=84), offset=offset)
    assert early.watermark is None
    due = due_ticks(MINUTELY, base=T0, anchor=T0, now=T0 + timedelta(seconds=85), offset=offset, deadline_seconds=1)
    assert due.run == T0 + MINUTE, "lateness counts from the moved start"
    assert next_start(MINUTELY, base=T0, anchor=T0, offset=offset) == T0 + timedelta(seconds=85)


@settings(deadline=None)  # a busy machine
@given(st.uuids().map(str), st.integers(0, 86_400))
def test_the_share_is_within_the_spread_and_never_changes(uid: str, seconds: int) -> None:
    offset = spread_offset(uid, seconds)
    assert timedelta() <= offset < timedelta(seconds=max(seconds, 1))
    assert offset == spread_offset(uid, seconds)


def test_a_new_release_gives_no_task_another_share() -> None:
    assert spread_offset("7f1c2c8e-0001", 3600) == timedelta(seconds=1838)


def test_shares_are_even() -> None:
    shares = [spread_offset(f"uid-{n}", 60).total_seconds() for n in range(6000)]
    tenths = [sum(1 for share in shares if ten <= share < ten + 6) for ten in range(0, 60, 6)]
    assert min(tenths) > 450
    assert max(tenths) < 750


def test_once_at_once_is_not_spread() -> None:
    def once(text: str) -> Schedule:
        return parse_schedule(ScheduleType.ONCE, text, "UTC")

    assert not is_spread(once(""))
    assert start_offset(once(""), "7f1c2c8e-0001", 3600) == timedelta()
    assert start_offset(once("2026-03-02T10:00:00Z"), "7f1c2c8e-0001", 3600) > timedelta()
    assert is_spread(once("2026-03-02T10:00:00Z"))


def test_a_date_behind_the_watermark_never_comes() -> None:
    date = parse_schedule(ScheduleType.DATE, "2026-03-02T10:00:00Z", "UTC")
    assert never_comes(date, base=T0, anchor=T0)
    assert not never_comes(date, base=T0 - MINUTE, anchor=T0)
    assert not never_comes(MINUTELY, base=T0, anchor=T0)
    assert next_start(date, base=T0, anchor=T0, offset=MINUTE) is None


@settings(deadline=None)  # a busy machine
@given(st.integers(0, 500), st.integers(1, 500), st.sets(st.integers(1, 1000)))
def test_every_due_tick_is_accounted_for_exactly_once(gap: int, more: int, made_: set[int]) -> None:
    base, now = T0 + gap * MINUTE, T0 + (gap + more) * MINUTE
    made = {T0 + n * MINUTE for n in made_}
    due = due_ticks(MINUTELY, base=base, anchor=T0, now=now, made=made)
    ticks = {base + n * MINUTE for n in range(1, more + 1)}
    summed = [int(s.message.split()[0]) for s in due.skipped if " runs from " in s.message]
    single = [s.tick for s in due.skipped if " runs from " not in s.message]
    ran = len(ticks & made) + (due.run is not None)
    assert sum(summed) + len(single) + ran == len(ticks)
    assert len(set(single)) == len(single)
    assert not set(single) & made
    assert due.run not in made
    assert due.watermark == now
