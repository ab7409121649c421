"""What a new report changes of a stored execution; no database."""

from __future__ import annotations

from itertools import product

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.progress import Progress
from cronwright_core.store.merging import merge_attempts, merge_execution, to_attempt_values, to_execution_values
from cronwright_core.store.statistics import changes, contribution
from support.store_rows import NOW, later, make_attempt, make_execution

Status = ExecutionStatus
FINAL = [status for status in Status if status.ended]
OPEN = [status for status in Status if not status.ended]


def values(status: Status, **fields):
    return to_execution_values(make_execution(1, status=status, **fields))


@pytest.mark.parametrize(("old", "new"), list(product(OPEN, Status)))
def test_before_the_end_the_newest_report_counts(old, new) -> None:
    merged = merge_execution(values(old, reason="Old"), values(new, reason="New"))
    assert (merged["status"], merged["reason"]) == (new, "New")


@pytest.mark.parametrize(("old", "new"), list(product(FINAL, Status)))
def test_a_final_status_stays(old, new) -> None:
    before = values(old, reason="Old")
    merged = merge_execution(before, values(new, reason="New", seconds=7))
    assert merged == before


@pytest.mark.parametrize(("old", "new"), list(product(Status, Status)))
def test_the_same_report_again_changes_nothing(old, new) -> None:
    once = merge_execution(values(old), values(new))
    assert merge_execution(once, values(new)) == once


def test_only_a_report_of_the_same_end_fills_in_the_reason() -> None:
    stored = values(Status.CANCELLED)
    assert merge_execution(stored, values(Status.FAILED, reason="Error"))["reason"] is None
    assert merge_execution(stored, values(Status.CANCELLED, reason="Requested"))["reason"] == "Requested"


def test_what_is_known_is_never_forgotten_and_what_is_open_is_filled() -> None:
    waits = values(Status.PENDING, seconds=None)
    assert (waits["start_time"], waits["end_time"], waits["exit_code"]) == (None, None, None)
    ran = values(Status.SUCCESS, seconds=45)
    ended = merge_execution(waits, ran)
    assert (ended["start_time"], ended["end_time"]) == (ran["start_time"], ran["end_time"])
    told = merge_execution(ended, values(Status.SUCCESS, seconds=99, exit_code=0))
    assert (told["end_time"], told["exit_code"]) == (ran["end_time"], 0), "the exit code came after the end"
    assert merge_execution(told, waits) == told


def test_a_record_without_a_job_does_not_take_away_the_jobs_name() -> None:
    stored = values(Status.PENDING) | {"job_name": "nightly-1"}
    assert merge_execution(stored, values(Status.CANCELLED) | {"job_name": ""})["job_name"] == "nightly-1"
    assert merge_execution(stored, values(Status.RUNNING) | {"job_name": "nightly-2"})["job_name"] == "nightly-2"


def test_a_manual_run_has_no_scheduled_time() -> None:
    assert values(Status.PENDING)["scheduled_time"] == NOW
    by_hand = values(Status.PENDING, request_key="k")
    assert (by_hand["scheduled_time"], by_hand["execution_time"]) == (None, NOW)


def test_the_names_of_its_parameters_are_kept_and_none_is_null() -> None:
    assert values(Status.PENDING, parameters=("DAY", "CITY"))["parameters"] == ["DAY", "CITY"]
    assert values(Status.PENDING)["parameters"] is None


def test_who_asked_is_not_overwritten_by_nobody() -> None:
    stored = values(Status.PENDING, requested_by="alice")
    assert merge_execution(stored, values(Status.RUNNING))["requested_by"] == "alice"


def attempt_rows(*attempts):
    key = {"execution_time": NOW, "execution_id": "exec"}
    return [to_attempt_values(key, attempt) for attempt in attempts]


def test_attempts_that_say_nothing_new_are_not_written() -> None:
    rows = attempt_rows(make_attempt(1, "a"), make_attempt(2, "b"))
    assert merge_attempts(rows, rows) == ([], {"a": 1, "b": 2})


def test_a_new_pod_never_takes_a_number_that_another_has() -> None:
    stored = attempt_rows(make_attempt(1, "a"), make_attempt(2, "b"))
    written, numbers = merge_attempts(stored, attempt_rows(make_attempt(1, "c"), make_attempt(2, "d")))
    assert numbers == {"c": 3, "d": 4}
    assert [(row["number"], row["pod_uid"]) for row in written] == [(3, "c"), (4, "d")]


def test_attempts_are_numbered_in_their_order_however_they_are_told() -> None:
    reported = attempt_rows(make_attempt(2, "b"), make_attempt(1, "a"))
    assert merge_attempts([], reported)[1] == {"a": 1, "b": 2}


def test_a_gap_in_numbers_is_kept() -> None:
    assert merge_attempts([], attempt_rows(make_attempt(3, "c")))[1] == {"c": 3}


@pytest.mark.parametrize(
    ("status", "seconds", "column", "duration_count"),
    [
        (Status.PENDING, None, "waiting", 0),
        (Status.RUNNING, 0, "running", 0),
        (Status.SUCCESS, 45, "success_count", 1),
        (Status.FAILED, 45, "failed_count", 1),
        (Status.TIMEOUT, 45, "failed_count", 1),
        (Status.CANCELLED, 45, "cancelled_count", 0),
        (Status.FAILED, None, "failed_count", 0),
    ],
)
def test_what_an_execution_adds_to_the_statistics(status, seconds, column, duration_count) -> None:
    counted = contribution(values(status, seconds=seconds))
    assert counted.pop("duration_sum_seconds") == (45 if duration_count else 0)
    assert {name: count for name, count in counted.items() if count} == {
        name: count for name, count in {column: 1, "duration_count": duration_count}.items() if count
    }


@pytest.mark.parametrize(("old", "new"), list(product(Status, Status)))
def test_a_change_takes_the_old_state_out_and_the_new_one_in(old, new) -> None:
    before, after = values(old), values(new)
    (row,) = changes([(before, after)])
    for column, count in contribution(after).items():
        assert row[column] == count - contribution(before)[column]


def test_changes_are_one_row_per_task_in_order() -> None:
    runs = [(None, to_execution_values(make_execution(task, later(60 * task)))) for task in (3, 1, 2, 1)]
    rows = changes(runs)
    assert [(row["task_id"], row["success_count"]) for row in rows] == [(1, 2), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, None, (None, None, None)),
        (None, Progress(1, "load", 10), (1, "load", 10)),
        (Progress(1, "load", 10), None, (1, "load", 10)),
        (Progress(1, "load", 10), Progress(1, "copy", 5), (1, "copy", 5)),
        # An operator that has just started knows the attempt, but not what it said before.
        (Progress(1, "load", 10), Progress(1), (1, "load", 10)),
        (Progress(1, "load", 10), Progress(1, None, 20), (1, "load", 20)),
        (Progress(1, "load", 90), Progress(2), (2, None, None)),
        (Progress(2, "load", 10), Progress(1, "copy", 90), (2, "load", 10)),
    ],
)
def test_progress_is_that_of_the_newest_attempt(old, new, expected) -> None:
    merged = merge_execution(values(Status.RUNNING, progress=old), values(Status.RUNNING, progress=new))
    assert (merged["progress_attempt"], merged["progress_step"], merged["progress_percent"]) == expected


def used(memory: float | None, cpu: float | None, status: Status = Status.RUNNING, seconds: int | None = None):
    end = later(seconds) if seconds is not None else None
    return make_attempt(1, "a", status, start_time=NOW, end_time=end, max_memory_mb=memory, avg_cpu_percent=cpu)


@pytest.mark.parametrize(
    ("before", "after", "stored"),
    [
        ((None, None), (10.0, 5.0), (10.0, 5.0)),
        ((10.0, 5.0), (8.0, 7.0), (10.0, 7.0)),
        ((10.0, 5.0), (12.0, None), (12.0, 5.0)),
        ((10.0, 5.0), (None, None), (10.0, 5.0)),
    ],
)
def test_the_memory_peak_stays_and_the_newest_cpu_figure_counts(before, after, stored) -> None:
    old, new = (values(Status.RUNNING, attempts=(used(*figures),)) for figures in (before, after))
    merged = merge_execution(old, new)
    assert (merged["max_memory_mb"], merged["avg_cpu_percent"]) == stored
    rows, _ = merge_attempts(attempt_rows(used(*before)), attempt_rows(used(*after)))
    row = rows[0] if rows else attempt_rows(used(*before))[0]
    assert (row["max_memory_mb"], row["avg_cpu_percent"]) == stored


def test_figures_that_come_after_the_end_fill_what_is_open_only() -> None:
    ended = values(Status.SUCCESS, attempts=(used(10.0, 5.0, Status.SUCCESS, 60),))
    again = values(Status.SUCCESS, attempts=(used(9.0, 99.0, Status.SUCCESS, 60),))
    assert merge_execution(ended, again) == ended
