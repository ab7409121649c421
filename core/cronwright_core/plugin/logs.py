"""What an execution wrote: from the record, by the REST API; or from its Pods, as long as the cluster has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cronwright_core.plugin.errors import DONE, FAILED, NoRestApi, NotThere, PluginError
from cronwright_core.plugin.kubectl import Json, Kubectl
from cronwright_core.plugin.output import note, say
from cronwright_core.plugin.rest import NOT_NAMED, TOKEN_VARIABLE, URL_VARIABLE, RestApi
from cronwright_core.plugin.runs import Run, is_execution_id, newest_execution, runs_of

POLL_SECONDS = 1.0
KNOWN_SECONDS = 30.0
"""How long a run that has just begun may be unknown to the record."""
_CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is to be shown. `tail` and `attempt` None: everything, and (of Pods) the newest attempt."""

    follow: bool = False
    error: bool = False
    tail: int | None = None
    attempt: int | None = None


def logs(kubectl: Kubectl, api: RestApi | None, target: str, options: LogOptions) -> int:
    """Prints the output of an execution, or of a task's newest one.

    Raises:
        PluginError
    """
    if is_execution_id(target):
        execution_id, uid = target, None
    else:
        task = kubectl.task(target)
        uid = task["metadata"]["uid"]
        execution_id = newest_execution(task) or ""
        if not execution_id:
            raise PluginError(f"{target} has not run yet")
        note(execution_id)
    if api is None:
        note(f"{NOT_NAMED}: this is what the Pods still have")
    else:
        try:
            return _from_record(api, execution_id, options)
        except NoRestApi as error:
            note(f"{error}: this is what the Pods still have")
    return _from_pods(kubectl, execution_id, uid, options)


def _from_record(api: RestApi, execution_id: str, options: LogOptions) -> int:
    query: dict[str, Any] = {"log_type": "error" if options.error else "output", "attempt": options.attempt}
    path = f"/executions/{execution_id}/logs"
    if not options.follow:
        data = api.get(f"{path}/file", lines=options.tail, **query)["data"]
        for line in data["content"]:
            say(line)
        if data.get("log_incomplete"):
            note("a part of this output could not be read; it is marked in the text")
        return DONE
    _known(lambda: api.get(f"/executions/{execution_id}"))
    for event in api.follow(f"{path}/stream", **query):
        match event.name:
            case "":
                say(event.data["content"])
            case "attempt" if event.data["attempt"] > 1:
                note(f"attempt {event.data['attempt']}")
            case "expired":
                raise PluginError("the token has expired")
            case "end":
                code = event.data.get("exit_code")
                note(event.data["status"] + ("" if code is None else f", exit code {code}"))
    return DONE


def _known(look: Callable[[], T]) -> T:
    """Waits until the record knows of a run that has just been asked for."""
    end = time.monotonic() + KNOWN_SECONDS
    while True:
        try:
            return look()
        except NotThere:
            if time.monotonic() >= end:
                raise
        time.sleep(POLL_SECONDS)


def _from_pods(kubectl: Kubectl, execution_id: str, uid: str | None, options: LogOptions) -> int:
    if options.error:
        note("the Pods' logs hold both streams, and cannot be told apart here")
    shown: set[str] = set()
    end = time.monotonic() + (KNOWN_SECONDS if options.follow else 0)
    while True:
        run = _find(kubectl, execution_id, uid)
        if run is None:
            if time.monotonic() < end and not shown:
                time.sleep(POLL_SECONDS)
                continue
            raise PluginError(
                f"the cluster has no Job of {execution_id} in this namespace any more; its output is in the record, "
                f"which the REST API shows ({URL_VARIABLE}, {TOKEN_VARIABLE})"
            )
        pod = _next_pod(kubectl, run, shown, options)
        if pod is not None:
            shown.add(pod["metadata"]["uid"])
            arguments = ["logs", pod["metadata"]["name"], "-c", run.job.container]
            arguments += ["-f"] if options.follow else []
            arguments += [f"--tail={options.tail}"] if options.tail is not None else []
            if kubectl.show(*arguments) != 0:
                return FAILED
        if not options.follow:
            if pod is None:
                raise PluginError(f"{execution_id} has no output: {run.state.reason or 'no Pod of it has started'}")
            return DONE
        if run.state.status.ended and pod is None:
            note(run.state.status.value)
            return DONE
        if pod is None:
            time.sleep(POLL_SECONDS)


def _find(kubectl: Kubectl, execution_id: str, uid: str | None) -> Run | None:
    jobs = [job for job in kubectl.jobs(uid) if execution_id in _ids(job)]
    pods = kubectl.pods(f"{_CONTROLLER_UID}={jobs[0]['metadata']['uid']}") if jobs else []
    return next((run for run in runs_of(jobs, pods) if run.execution_id == execution_id), None)


def _ids(job: Json) -> set[str]:
    return {run.execution_id for run in runs_of([job], [])}


def _next_pod(kubectl: Kubectl, run: Run, shown: set[str], options: LogOptions) -> Json | None:
    """The Pod to show next: of a run that is followed the oldest that was not shown, else the newest (or asked for)."""
    pods = kubectl.pods(f"{_CONTROLLER_UID}={run.job.uid}")
    pods.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
    if options.attempt is not None:
        pods = pods[options.attempt - 1 : options.attempt]
    started = [
        pod
        for pod in pods
        if pod["metadata"]["uid"] not in shown and (pod.get("status") or {}).get("phase", "Pending") != "Pending"
    ]
    if not started:
        return None
    return started[0] if options.follow else started[-1]
