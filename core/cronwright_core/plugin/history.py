"""history and next: what a task did, and what it will do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.clock_changes import clock_notes
from cronwright_core.domain.ticks import start_offset
from cronwright_core.domain.times import from_rfc3339, whole_seconds
from cronwright_core.domain.timezones import load_zone
from cronwright_core.domain.upcoming import upcoming
from cronwright_core.domain.validation import check_schedule
from cronwright_core.kube.codec import to_task_spec
from cronwright_core.plugin.errors import DONE, NoRestApi, PluginError
from cronwright_core.plugin.kubectl import Json, Kubectl
from cronwright_core.plugin.output import note, say, write
from cronwright_core.plugin.rest import NOT_NAMED, RestApi
from cronwright_core.plugin.runs import Run, not_ready, runs_of
from cronwright_core.plugin.tables import NOTHING, instant, render, span

COLUMNS = ("EXECUTION", "KIND", "STATUS", "TIME", "STARTED", "DURATION", "EXIT", "REASON")


def history(kubectl: Kubectl, api: RestApi | None, name: str, *, limit: int, headers: bool, as_json: bool) -> int:
    """Prints the newest executions of a task, the newest first.

    Raises:
        PluginError
    """
    task = kubectl.task(name)
    rows = _recorded(api, task, limit)
    if rows is None:
        uid = task["metadata"]["uid"]
        runs = runs_of(kubectl.jobs(uid), kubectl.pods(f"{naming.TASK_UID_LABEL}={uid}"))
        rows = [_of_run(run) for run in runs[:limit]]
    if as_json:
        say(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        write(render(COLUMNS, [_cells(row) for row in rows], headers=headers))
    else:
        note(f"{name} has not run")
    return DONE


def next_runs(kubectl: Kubectl, name: str, *, count: int, headers: bool, now: datetime | None = None) -> int:
    """Prints the next scheduled runs of a task, and what changes of the clock do to them.

    Raises:
        PluginError: the task cannot run; the message is that of its condition.
    """
    task = kubectl.task(name)
    reason = not_ready(task)
    if reason is not None:
        raise PluginError(f"{name} cannot run: {reason}")
    moment = whole_seconds(now or datetime.now(UTC))
    spec = to_task_spec(task["spec"], name)
    schedule, _ = check_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
    first = (task.get("status") or {}).get("nextScheduleTime")
    if spec.suspend or first is None or schedule is None:
        note(f"{name} {'is paused' if spec.suspend else 'has no further run'}")
        return DONE
    offset = start_offset(schedule, task["metadata"]["uid"], spec.spread_seconds)
    ticks = upcoming(schedule, from_rfc3339(first), moment, count, offset)
    zone = load_zone(spec.time_zone)
    starts = [tick + offset for tick in ticks]
    rows = [(start.astimezone(zone).isoformat(), instant(start), span(start - moment)) for start in starts]
    write(render((f"LOCAL ({spec.time_zone})", "UTC", "IN"), rows, headers=headers))
    if offset:
        note(f"each starts {span(offset)} after its time (spreadSeconds {spec.spread_seconds})")
    base = moment - offset
    for change in clock_notes(schedule, spec.schedule, spec.time_zone, base=base, ticks=ticks) if ticks else ():
        note(change.message.en)
    return DONE


def _recorded(api: RestApi | None, task: Json, limit: int) -> list[dict[str, Any]] | None:
    """The rows of the record; None if it cannot be asked, which is said."""
    task_id = (task.get("status") or {}).get("taskId")
    if api is None:
        why = NOT_NAMED
    elif task_id is None:
        why = "the task is not in the record yet"
    else:
        try:
            return [_of_item(item) for item in api.get(f"/tasks/{task_id}/executions", size=limit)["items"]]
        except NoRestApi as error:
            why = str(error)
    note(f"{why}: these are the runs whose Jobs are still in the cluster")
    return None


def _of_item(item: dict[str, Any]) -> dict[str, Any]:
    requested = naming.execution_time(item["execution_id"])
    return {
        "execution": item["execution_id"],
        "kind": item["kind"],
        "status": item["status"],
        "time": item["scheduled_time"] or (instant(requested) if requested else None),
        "started": item["start_time"],
        "duration_seconds": item["duration_seconds"],
        "exit_code": item["exit_code"],
        "reason": item["reason"],
    }


def _of_run(run: Run) -> dict[str, Any]:
    state = run.state
    length = (state.end_time - state.start_time).total_seconds() if state.start_time and state.end_time else None
    return {
        "execution": run.execution_id,
        "kind": run.kind.value,
        "status": state.status.value,
        "time": instant(run.time),
        "started": instant(state.start_time) if state.start_time else None,
        "duration_seconds": None if length is None else round(length),
        "exit_code": state.exit_code,
        "reason": state.reason,
    }


def _cells(row: dict[str, Any]) -> Sequence[str]:
    shown = {key: NOTHING if value is None else str(value) for key, value in row.items()}
    if row["duration_seconds"] is not None:
        shown["duration_seconds"] += "s"
    return list(shown.values())
