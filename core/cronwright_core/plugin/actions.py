"""trigger, cancel, pause and resume: requests to the operator, written to the ScheduledTask by kubectl."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from cronwright_core.domain import naming
from cronwright_core.domain.execution import ExecutionKind, ExecutionStatus
from cronwright_core.domain.parameters import Variables, check_parameters
from cronwright_core.domain.times import to_rfc3339, whole_seconds
from cronwright_core.plugin.errors import DONE, RUN_FAILED, TIMED_OUT, PluginError
from cronwright_core.plugin.kubectl import Json, Kubectl
from cronwright_core.plugin.output import note, say
from cronwright_core.plugin.runs import Run, not_ready, requested_executions, runs_of

BY = "kubectl"
POLL_SECONDS = 1.0
_LOOKS = 5
"""How often a request may be found gone without a Job: the two are read one after the other, not at one moment."""


def trigger(kubectl: Kubectl, name: str, variables: Variables, *, wait: bool, seconds: float) -> int:
    """Asks for a run now and prints its execution id; with `wait` the exit code tells how it ended.

    Raises:
        PluginError
    """
    errors = check_parameters(variables)
    if errors:
        raise PluginError("; ".join(f"--env: {error.message.en}" for error in errors))
    task = kubectl.task(name)
    reason = not_ready(task)
    if reason is not None:
        raise PluginError(f"{name} cannot run: {reason}")
    key, now = secrets.token_hex(16), whole_seconds(datetime.now(UTC))
    request = {"time": to_rfc3339(now), "by": BY} | ({"env": dict(variables)} if variables else {})
    kubectl.annotate(task, {naming.TRIGGER_PREFIX + key: json.dumps(request, ensure_ascii=False)})
    uid = task["metadata"]["uid"]
    say(naming.execution_id(uid, ExecutionKind.ADHOC.value, now, key))
    return _wait(kubectl, name, uid, key, seconds) if wait else DONE


def parse_variables(texts: Sequence[str]) -> Variables:
    """`KEY=VALUE`, each once.

    Raises:
        PluginError
    """
    pairs = []
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise PluginError("--env: must be NAME=VALUE")
        pairs.append((key, value))
    return tuple(pairs)


def cancel(kubectl: Kubectl, execution_id: str) -> int:
    """Asks for the end of an execution; does not wait for it.

    Raises:
        PluginError: nothing of this id waits or runs in the namespace.
    """
    if naming.execution_time(execution_id) is None:
        raise PluginError(f"{execution_id} is not an execution's id; `kubectl cronwright history NAME` shows them")
    task = next((task for task in kubectl.tasks() if has_open(task, execution_id)), None)
    if task is None:
        raise PluginError(_why_not(kubectl, execution_id))
    value = json.dumps({"by": BY, "at": to_rfc3339(datetime.now(UTC))})
    kubectl.annotate(task, {naming.CANCEL_PREFIX + execution_id: value})
    say(f"{execution_id} of {task['metadata']['name']}: its end is asked for")
    return DONE


def set_suspend(kubectl: Kubectl, name: str, suspend: bool) -> int:
    """Pauses or resumes a task; one that is so already is no error."""
    task = kubectl.task(name)
    word = "paused" if suspend else "resumed"
    if bool(task["spec"].get("suspend")) is suspend:
        say(f"{name} is {'paused' if suspend else 'not paused'} already")
        return DONE
    if not suspend and (task.get("status") or {}).get("completionTime"):
        raise PluginError(f"{name} has had its run and cannot be resumed")
    kubectl.set_suspend(task, suspend)
    say(f"{name} {word}")
    return DONE


def has_open(task: Json, execution_id: str) -> bool:
    """Whether the execution waits or runs: as a Job that the status names, or as a request that has no Job yet."""
    active = (task.get("status") or {}).get("active") or ()
    return any(item["executionId"] == execution_id for item in active) or execution_id in requested_executions(task)


def _why_not(kubectl: Kubectl, execution_id: str) -> str:
    run = next(
        (
            run
            for run in runs_of(kubectl.jobs(), kubectl.pods(naming.MANAGED_SELECTOR))
            if run.execution_id == execution_id
        ),
        None,
    )
    if run is not None:
        return f"{execution_id} has ended: {run.state.status.value}"
    return f"no execution {execution_id} waits or runs in this namespace"


def _wait(kubectl: Kubectl, name: str, uid: str, key: str, seconds: float) -> int:
    end = time.monotonic() + seconds
    shown, missing = None, 0
    while True:
        run = _run_of(kubectl, uid, key)
        if run is None:
            missing = 0 if _still_asked(kubectl, name, uid, key) else missing + 1
            if missing >= _LOOKS:
                raise PluginError(
                    f"the request was taken off {name} and no Job is there: kubectl describe {name} says why"
                )
        else:
            missing = 0
            if run.state.status.ended:
                return _ended(run)
            if run.state.status is not shown:
                shown = run.state.status
                note(shown.value)
        if time.monotonic() >= end:
            note(f"not ended within {seconds:.0f} s; it goes on")
            return TIMED_OUT
        time.sleep(POLL_SECONDS)


def _run_of(kubectl: Kubectl, uid: str, key: str) -> Run | None:
    jobs = kubectl.jobs(uid)
    pods = kubectl.pods(f"{naming.TASK_UID_LABEL}={uid}") if jobs else []
    return next((run for run in runs_of(jobs, pods) if run.job.request_key == key), None)


def _still_asked(kubectl: Kubectl, name: str, uid: str, key: str) -> bool:
    task = kubectl.task(name)
    if task["metadata"]["uid"] != uid:
        raise PluginError(f"{name} was deleted meanwhile")
    return naming.TRIGGER_PREFIX + key in (task["metadata"].get("annotations") or {})


def _ended(run: Run) -> int:
    state = run.state
    code = "" if state.exit_code is None else f", exit code {state.exit_code}"
    why = "" if state.reason is None else f": {state.reason}: {state.message or ''}".rstrip(": ")
    note(f"{state.status.value}{code}{why}")
    return DONE if state.status is ExecutionStatus.SUCCESS else RUN_FAILED
