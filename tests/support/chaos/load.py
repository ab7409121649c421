"""Many executions at once in a namespace, and what must be true of them afterwards."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from support.cluster import FINAL, Rest, Space, eventually, kubectl
from support.jobs import outcome, seconds_between, tick_times
from support.objects import RequestFailed

LINES = 6
LIMIT = 8
"""How many executions of the Project may run at a time."""
OF_ONE_TASK = 40
"""Runs of a task at most: of more than `settings.keepFinishedPerTask` (50) the operator removes recorded Jobs, and what
they really did could not be compared any more."""
SAMPLE_SECONDS = 3.0
TICKING = ("minutely", "interval")
_PROGRAM = (
    f"n=0; while [ $n -lt {LINES} ]; do n=$((n+1)); echo out $n; echo err $n >&2; sleep 0.$((n % 4)); done; exit "
)
_OUT = [f"out {n}" for n in range(1, LINES + 1)]
_ERR = [f"err {n}" for n in range(1, LINES + 1)]


@dataclass(frozen=True)
class Kind:
    """Tasks of one sort: how they end, and what is then in the record."""

    name: str
    exit_code: int
    retries: int

    def end(self, unstarted: int) -> tuple[str, int]:
        """The status that is right, and how often the program ran, if so many attempts could not be started."""
        attempts = self.retries + 1 - unstarted
        if self.exit_code == 0 and attempts > 0:
            return "SUCCESS", 1
        return "FAILED", max(attempts, 0)


KINDS = (Kind("good", 0, 0), Kind("fine", 0, 2), Kind("bad", 3, 0), Kind("retried", 4, 1))
_TICK = Kind("tick", 0, 0)


@dataclass
class Load:
    """`asked` manual runs over some tasks of each kind, and two tasks that tick."""

    space: Space
    alice: Rest
    asked: int
    tasks: dict[str, tuple[Kind, int, int]] = field(default_factory=dict)
    """By name: its kind, its id, and how many runs of it were asked for."""
    most_running: int = 0
    _looked: float = 0.0
    _all_ended: bool = False

    def begin(self) -> None:
        """Makes the tasks and asks for all runs, a patch a task."""
        self.space.apply_project("limited", maxConcurrentExecutions=LIMIT, args=[_PROGRAM + "0"])
        # A retry waits ten seconds for its Job's back-off: few of those.
        shares = {"good": 0.45, "fine": 0.3, "bad": 0.2, "retried": 0.05}
        counts = {kind: max(1, round(self.asked * shares[kind.name])) for kind in KINDS}
        counts[KINDS[0]] += self.asked - sum(counts.values())
        for kind in KINDS:
            tasks = -(-counts[kind] // OF_ONE_TASK)
            for number in range(tasks):
                name = f"{kind.name}-{number}"
                share = counts[kind] // tasks + (number < counts[kind] % tasks)
                self.space.apply_task(
                    name,
                    _PROGRAM + str(kind.exit_code),
                    projectName="limited",
                    scheduleType="Cron",
                    schedule="0 0 1 1 *",
                    backoffLimit=kind.retries,
                    maxInstances=3,
                )
                self.tasks[name] = (kind, self.space.task_id(name), share)
        self.space.apply_task("minutely", _PROGRAM + "0", scheduleType="Cron", schedule="* * * * *")
        self.space.apply_task("interval", _PROGRAM + "0", scheduleType="Interval", schedule="60", maxInstances=2)
        for name, (_, _, share) in self.tasks.items():
            requests = {f"trigger.cronwright.dev/{number:03}": "now" for number in range(share)}
            patch = json.dumps({"metadata": {"annotations": requests}})
            kubectl("patch", "scheduledtask", name, "-n", self.space.namespace, "--type=merge", "-p", patch)

    def look(self) -> bool:
        """Samples how many run; returns whether every run that was asked for has ended in the record.

        Not more often than every few seconds: listing hundreds of Jobs takes more of a small machine than running them.
        """
        if time.monotonic() < self._looked + SAMPLE_SECONDS:
            return self._all_ended
        with suppress(RequestFailed):
            jobs = self.space.jobs("cronwright.dev/project=limited")
            running = [job for job in jobs if not job["spec"].get("suspend") and outcome(job) is None]
            self.most_running = max(self.most_running, len(running))
        self._all_ended = all(self._ended(task_id) >= share for _, task_id, share in self.tasks.values())
        self._looked = time.monotonic()
        return self._all_ended

    def _ended(self, task_id: int) -> int:
        answer = self._read(f"/tasks/{task_id}")
        if answer is None:
            return 0
        summary = answer["data"]["execution_summary"]
        return sum(int(summary[f"{end}_count"]) for end in ("success", "failed", "cancelled"))

    def known(self, task_id: int) -> list[dict[str, Any]]:
        """The executions; none while the database is away."""
        answer = self._read(f"/tasks/{task_id}/executions?size=100")
        items: list[dict[str, Any]] = answer["items"] if answer is not None else []
        return items

    def _read(self, path: str) -> dict[str, Any] | None:
        """None while the API says, as it must, that the database is away."""
        answer = self.alice.call("GET", path)
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def stop_ticking(self) -> None:
        """No further ticks; those that run go on. Returns when the operator has seen to it."""
        for name in TICKING:
            patch = '{"spec":{"suspend":true}}'
            kubectl("patch", "scheduledtask", name, "-n", self.space.namespace, "--type=merge", "-p", patch)
        for name in TICKING:
            self.space.ready(name)

    def is_quiet(self, name: str) -> bool:
        """Whether every run of a ticking task has ended in the record: those, too, of which there is but a Job yet."""
        jobs = self.space.jobs(f"cronwright.dev/task={name}")
        runs = self.known(self.space.task_id(name))
        ended = {run["execution_id"] for run in runs if run["status"] in FINAL}
        real = {job["metadata"].get("annotations", {}).get("cronwright.dev/execution") for job in jobs}
        return 0 < len(ended) == len(runs) and real <= ended


@dataclass
class Findings:
    """What was compared, and what is wrong."""

    executions: int = 0
    ticks: int = 0
    lines: int = 0
    wrong: list[str] = field(default_factory=list)


def compare(load: Load) -> Findings:
    """The records against what was asked for, and against what the Jobs of the cluster really did."""
    found = Findings()
    jobs = load.space.jobs()
    by_task: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        by_task.setdefault(job["metadata"]["labels"]["cronwright.dev/task"], []).append(job)
    unstarted = _unstarted(load.space, jobs)
    for name, (kind, task_id, share) in load.tasks.items():
        runs = load.alice.executions(task_id)
        _compare_ids(found, name, runs, by_task.get(name, []))
        if len(runs) != share:
            found.wrong.append(f"{name}: {share} runs were asked for, {len(runs)} are recorded")
        for run in runs:
            _compare_run(found, load.alice, run, *kind.end(unstarted[run["execution_id"]]))
        found.executions += len(runs)
    for name in TICKING:
        runs = load.alice.executions(load.space.task_id(name))
        ran = [run for run in runs if run["start_time"] is not None]
        _compare_ids(found, name, ran, by_task.get(name, []))
        for run in ran:
            _compare_run(found, load.alice, run, *_TICK.end(unstarted[run["execution_id"]]))
        for run in runs:
            if run["start_time"] is None and not run["error_message"]:
                found.wrong.append(f"{name}: {run['execution_id']} did not run, and nothing says why")
        _compare_ticks(found, load.space, name, runs)
    if load.most_running > LIMIT:
        found.wrong.append(f"{load.most_running} ran at a time, the limit is {LIMIT}")
    return found


def _compare_ids(found: Findings, name: str, runs: list[dict[str, Any]], jobs: list[dict[str, Any]]) -> None:
    recorded = Counter(run["execution_id"] for run in runs)
    real = Counter(job["metadata"]["annotations"].get("cronwright.dev/execution", "none") for job in jobs)
    for id_, count in (recorded | real).items():
        if (recorded[id_], real[id_]) != (1, 1):
            found.wrong.append(f"{name}: {id_}: {recorded[id_]} records, {real[id_]} Jobs (at most {count})")
    ends = {job["metadata"]["annotations"].get("cronwright.dev/execution"): outcome(job) for job in jobs}
    for run in runs:
        expected = ends.get(run["execution_id"])
        if expected is not None and run["status"] != expected:
            found.wrong.append(f"{name}: {run['execution_id']} is {run['status']}, its Job {expected}")


def _unstarted(space: Space, jobs: list[dict[str, Any]]) -> Counter[str]:
    """How many attempts of each execution containerd could not start, by their Pods: it kills the shim that it is about
    to start when the kubelet that asked for it is killed, and for Kubernetes that is a failure like any other."""
    ids = {job["metadata"]["uid"]: job["metadata"]["annotations"].get("cronwright.dev/execution", "") for job in jobs}
    return Counter(
        ids.get(pod["metadata"]["labels"].get("batch.kubernetes.io/controller-uid"), "")
        for pod in space.items("pods")
        for container in pod["status"].get("containerStatuses") or ()
        if container["state"].get("terminated", {}).get("reason") == "StartError"
    )


def _compare_run(found: Findings, alice: Rest, run: dict[str, Any], status: str, attempts: int) -> None:
    id_ = run["execution_id"]
    if run["status"] != status:
        found.wrong.append(f"{id_} is {run['status']} ({run['error_message']}), not {status}")
    for log_type, lines in (("output", _OUT), ("error", _ERR)):
        log = alice.log(id_, log_type)
        if log != lines * attempts:
            found.wrong.append(f"{id_}: {log_type} is {log}, not {attempts} times {lines}")
        found.lines += len(log)


def _compare_ticks(found: Findings, space: Space, name: str, runs: list[dict[str, Any]]) -> None:
    """Every tick between the first and the last that is recorded has one record."""
    times = tick_times(runs)
    found.ticks += len(times)
    if not times:
        found.wrong.append(f"{name}: no tick at all")
        return
    steps = seconds_between(times)
    if steps - {60}:
        found.wrong.append(f"{name}: between its recorded ticks are {sorted(steps)} seconds, not 60")
    created = datetime.fromisoformat(space.get("scheduledtask", name)["metadata"]["creationTimestamp"])
    if (times[0] - created).total_seconds() > 60:
        found.wrong.append(f"{name}: created {created}, but its first recorded tick is {times[0]}")


def wait_recorded(load: Load, seconds: float) -> None:
    """Waits until all is recorded, sampling as it goes; the ticking tasks are stopped and end as well."""
    eventually(load.look, seconds=seconds, what="every run that was asked for to be recorded")
    load.stop_ticking()

    # A tick may have come just before it was stopped.
    eventually(lambda: all(map(load.is_quiet, TICKING)), seconds=90, what="the ticking tasks to end")
