"""When a schedule runs next: one that is only thought of, or a task's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cronwright_api import request_context
from cronwright_api.bodies import invalid, read_form, required
from cronwright_api.deps import Backends
from cronwright_api.schemas.schedules import ClockNoteOut, NextRuns, PreviewedRuns, SchedulePreview, TaskNextRuns
from cronwright_api.services.tasks import first_base
from cronwright_api.services.time_window import read_instant
from cronwright_api.tokens import User
from cronwright_core.domain.clock_changes import clock_notes
from cronwright_core.domain.errors import FieldError, Message
from cronwright_core.domain.schedule import Schedule, ScheduleType, preview
from cronwright_core.domain.ticks import is_spread, start_offset
from cronwright_core.domain.times import whole_seconds
from cronwright_core.domain.timezones import load_zone
from cronwright_core.domain.upcoming import upcoming
from cronwright_core.domain.validation import check_bound, check_schedule, check_schedule_not_past

FIRST_START, LAST_START = datetime(2012, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Before 2012 zones changed in ways that the cluster's own arithmetic does not survive (docs/adr/0004)."""
_PLACEHOLDERS = {"schedule_type": "ONCE"}


def preview_schedule(backends: Backends, raw: Mapping[str, Any]) -> PreviewedRuns:
    """The next runs of the schedule in the body.

    Raises:
        InvalidInput: with every wrong field, in the words of endpoint 1.
    """
    form = read_form(SchedulePreview, raw, _PLACEHOLDERS)
    body = form.body
    zone = body.time_zone if "time_zone" in body.model_fields_set else backends.default_time_zone
    schedule, rules = check_schedule(ScheduleType(body.schedule_type), body.schedule_config, zone)
    if "schedule_config" not in body.model_fields_set and body.schedule_type != "ONCE":
        rules = [rule for rule in rules if rule.field != "schedule_config"] + [required("schedule_config")]
    now = backends.clock()
    if schedule is not None:
        rules += check_schedule_not_past(schedule, now)
    start: datetime | None = now
    if body.start is not None:
        start, wrong = _read_start(body.start, zone if schedule is not None else "UTC")
        rules += wrong
    rules += check_bound("spread_seconds", body.spread_seconds)
    errors = form.with_rules(*rules)
    if errors or schedule is None or start is None:
        raise invalid(errors)
    anchor = whole_seconds(start)
    base = first_base(schedule, anchor)
    ticks = preview(schedule, base=base, anchor=anchor, count=body.count)
    spread = body.spread_seconds if is_spread(schedule) else 0
    # The share of a task follows from its uid, and there is no task yet: it lies within 0 <= share < spread.
    widest = timedelta(seconds=max(spread - 1, 0))
    return PreviewedRuns(
        **_fields(schedule, body.schedule_config, zone, base, ticks, timedelta()),
        spread_seconds=spread,
        latest_run_times=[tick + widest for tick in ticks],
    )


def next_runs(backends: Backends, user: User, task_id: int, count: int) -> TaskNextRuns:
    """The next scheduled runs of a task.

    Raises:
        NotFound
    """
    task = backends.tasks.get(task_id, owner=user.owner_filter)
    spec = task.spec
    # A manifest may hold a schedule that cannot be used: such a task is not ready, and has no next run.
    schedule, _ = check_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
    first = task.next_run_time if task.is_active else None
    if schedule is None or first is None:
        none = NextRuns(next_run_times=[], local_run_times=[], time_zone=spec.time_zone, notes=[])
        return TaskNextRuns(
            **none.model_dump(), is_active=task.is_active, spread_seconds=spec.spread_seconds, spread_offset_seconds=0
        )
    now = whole_seconds(backends.clock())
    spread = spec.spread_seconds if is_spread(schedule) else 0
    offset = start_offset(schedule, task.cr_uid or "", spread)
    ticks = upcoming(schedule, first, now, count, offset)
    return TaskNextRuns(
        **_fields(schedule, spec.schedule, spec.time_zone, now - offset, ticks, offset),
        is_active=task.is_active,
        spread_seconds=spread,
        spread_offset_seconds=int(offset.total_seconds()),
    )


def _read_start(text: str, zone: str) -> tuple[datetime | None, list[FieldError]]:
    start, errors = read_instant("start", text, zone)
    if start is not None and not FIRST_START <= start < LAST_START:
        return None, [FieldError("start", Message("必须在2012年至2099年之间", "must be within the years 2012 to 2099"))]
    return start, errors


def _fields(
    schedule: Schedule, text: str, zone: str, base: datetime, ticks: Sequence[datetime], offset: timedelta
) -> dict[str, Any]:
    say = request_context.current().text
    # What a change of the clock does, it does to the tick; the start follows at the same distance.
    notes = clock_notes(schedule, text, zone, base=base, ticks=ticks) if ticks else []
    local = load_zone(zone)
    starts = [tick + offset for tick in ticks]
    return {
        "next_run_times": starts,
        "local_run_times": [start.astimezone(local).isoformat() for start in starts],
        "time_zone": zone,
        "notes": [ClockNoteOut(effect=note.effect, time=note.time, message=say(note.message)) for note in notes],
    }
