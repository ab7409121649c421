"""PostgreSQL is away for an hour: runs go on, records wait in the cluster, memory stays bounded, all is written then.

On a release of its own, so that the cluster can be used meanwhile. CRONWRIGHT_OUTAGE_MINUTES says how long (60).
"""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import Any

import pytest

from support.cluster import FINAL, Cluster, Space, eventually, kubectl
from support.jobs import outcome, seconds_between, tick_times
from support.second_release import FULL_NAME, NAMESPACE, SecondRelease

MINUTES = int(os.environ.get("CRONWRIGHT_OUTAGE_MINUTES", "60"))
_PRINT = "for n in 1 2 3; do echo out $n; echo err $n >&2; done; "
LINES = {"output": ["out 1", "out 2", "out 3"], "error": ["err 1", "err 2", "err 3"]}
MINUTELY = {
    # Each ticks once a minute; of the last every other tick and more is skipped.
    "cron": (_PRINT, {"scheduleType": "Cron", "schedule": "* * * * *"}),
    "interval": (_PRINT, {"scheduleType": "Interval", "schedule": "60"}),
    "failing": (_PRINT + "exit 3", {"scheduleType": "Interval", "schedule": "60"}),
    "slow": (_PRINT + "sleep 100", {"scheduleType": "Cron", "schedule": "* * * * *", "concurrencyPolicy": "Forbid"}),
}
MAY_GROW_MB = 60
"""The operator's memory during the outage over what it was before; what waits is in the cluster, not in it."""


class Outage:
    """What is asked for, seen and compared."""

    def __init__(self, release: SecondRelease, space: Space) -> None:
        self._release, self._space = release, space
        self._token = release.token()
        self.ids: dict[str, int] = {}
        self.triggered = 0
        self.memory_mb: list[float] = []

    def begin(self) -> None:
        self._space.apply_project()
        for name, (script, fields) in MINUTELY.items():
            self._space.apply_task(name, script, **fields)
        self._space.apply_task("manual", _PRINT, scheduleType="Cron", schedule="0 0 1 1 *")
        self.ids = {name: self._space.task_id(name) for name in (*MINUTELY, "manual")}
        eventually(lambda: all(self.recorded(name) for name in MINUTELY), seconds=150, what="a record of each task")

    def scale_database(self, replicas: int) -> None:
        kubectl("-n", NAMESPACE, "scale", f"statefulset/{FULL_NAME}-postgresql", f"--replicas={replicas}")

    def trigger(self) -> None:
        self.triggered += 1
        request = ("scheduledtask/manual", f"trigger.cronwright.dev/{self.triggered:03}=now", "--overwrite")
        eventually(lambda: kubectl("annotate", "-n", NAMESPACE, *request), seconds=60, what="the request to be taken")

    def measure(self) -> float:
        status = kubectl("-n", NAMESPACE, "exec", f"deploy/{FULL_NAME}-operator", "--", "cat", "/proc/1/status")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
        assert found is not None, status
        return int(found[1]) / 1024

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The Jobs of the tasks, by execution."""
        jobs = self._space.jobs("cronwright.dev/task")
        return {job["metadata"]["annotations"]["cronwright.dev/execution"]: job for job in jobs}

    def recorded(self, name: str) -> list[dict[str, Any]]:
        """All executions of a task that have ended in the record, oldest first."""
        found: list[dict[str, Any]] = []
        for page in itertools.count(1):
            answer = self._release.ask(self._token, f"/tasks/{self.ids[name]}/executions?size=100&page={page}")
            found += answer["items"]
            if len(found) >= answer["total"]:
                return [run for run in reversed(found) if run["status"] in FINAL]
        raise AssertionError("unreachable")

    def lines(self, execution: str) -> dict[str, list[str]]:
        path = f"/executions/{execution}/logs/file?log_type="
        return {kind: self._release.ask(self._token, path + kind)["data"]["content"] for kind in LINES}


def holds(job: dict[str, Any]) -> bool:
    """Whether the Job has ended and waits to be recorded."""
    return outcome(job) is not None and "cronwright.dev/record" in job["metadata"].get("finalizers", [])


def test_an_outage_of_the_database_loses_nothing(
    cluster: Cluster, second: SecondRelease, capsys: pytest.CaptureFixture[str]
) -> None:
    second.install()
    outage = Outage(second, Space(cluster, NAMESPACE))
    outage.begin()
    before_mb = outage.measure()
    outage.scale_database(0)
    began, most_held, made = time.monotonic(), 0, dict[str, dict[str, Any]]()
    for minute in range(1, MINUTES + 1):
        outage.trigger()
        eventually(
            lambda minute=minute: time.monotonic() >= began + 60 * minute, seconds=90, what="the next minute to begin"
        )
        # By their deadlines: somebody else may end the API server or the kubelet meanwhile.
        outage.memory_mb.append(eventually(outage.measure, seconds=60, what="the operator's memory"))
        made |= eventually(outage.jobs, seconds=60, what="the Jobs")
        most_held = max(most_held, sum(map(holds, made.values())))
        if minute % 5 == 0:
            with capsys.disabled():
                print(f"    ... {minute} minutes, {most_held} wait, operator {outage.memory_mb[-1]:.0f} MB", flush=True)
    outage.scale_database(1)
    back = time.monotonic()

    def all_written() -> bool:
        made.update(outage.jobs())
        return not any(map(holds, outage.jobs().values()))

    eventually(all_written, seconds=300, what="all that waits to be recorded")
    caught_up = time.monotonic() - back
    for name in MINUTELY:
        patch = '{"spec": {"suspend": true}}'
        kubectl("patch", "scheduledtask", name, "-n", NAMESPACE, "--type=merge", "-p", patch)
    eventually(
        lambda: made.update(outage.jobs()) or not [job for job in outage.jobs().values() if outcome(job) is None],
        seconds=180,
        what="what still runs to end",
    )
    eventually(all_written, seconds=60, what="the last ones to be recorded")
    runs = {name: outage.recorded(name) for name in outage.ids}
    with capsys.disabled():
        ran = sum(run["start_time"] is not None for task in runs.values() for run in task)
        skipped = sum(len(task) for task in runs.values()) - ran
        print(
            f"\n{MINUTES} minutes without PostgreSQL: {ran} executions, {skipped} skipped ticks;"
            f" {most_held} Jobs waited at most, recorded {caught_up:.0f} s after it was started again;"
            f" the operator had {before_mb:.0f} MB before and {max(outage.memory_mb):.0f} MB at most"
        )
    assert len(runs["manual"]) == outage.triggered
    by_id = {run["execution_id"]: run for task in runs.values() for run in task}
    assert len(by_id) == sum(map(len, runs.values())), "no record twice"
    assert {id_: outcome(job) for id_, job in made.items()} == {
        id_: run["status"] for id_, run in by_id.items() if run["start_time"] is not None
    }
    wrong = [id_ for id_ in made if outage.lines(id_) != LINES]
    assert wrong == []
    for name in MINUTELY:
        times = tick_times(runs[name])
        assert seconds_between(times) == {60}, name
        assert len(times) > MINUTES
    assert all(run["error_message"] for run in runs["slow"] if run["start_time"] is None)
    assert max(outage.memory_mb) < before_mb + MAY_GROW_MB
