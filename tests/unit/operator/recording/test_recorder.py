"""How many times the database is asked for one execution, and in which order: rows before the log, the end last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cronwright_core.domain.execution import Attempt, Execution, ExecutionStatus
from cronwright_core.domain.usage import Usage
from cronwright_core.kube.ports import Json
from cronwright_core.store.records.executions import RecordedExecution
from cronwright_core.store.records.tasks import TaskIdentity
from cronwright_operator.recording.recorder import PodsStillEnding, Recorder
from support.builders import CREATED, at, make_pod

UID = "job-1"
EXECUTION = "exec-20260302100000-0123456789abcdef"
RUNNING = make_pod(job_uid=UID, phase="Running", start_time=at("10:00:01"))
ENDED = replace(RUNNING, phase="Succeeded", end_time=at("10:00:09"), exit_code=0)
NEVER_RAN = make_pod(job_uid=UID, phase="Succeeded")


def job_body(*, finished: bool, failed: bool = False) -> Json:
    time = "2026-03-02T10:00:10Z"
    type_ = "Failed" if failed else "Complete"
    condition = {"type": type_, "status": "True", "lastTransitionTime": time, "reason": "R", "message": "m"}
    status: Json = {"startTime": "2026-03-02T10:00:00Z"}
    if finished:
        status |= {"conditions": [condition], "succeeded": int(not failed), "failed": int(failed)}
    return {
        "metadata": {
            "namespace": "team-a",
            "name": "job",
            "uid": UID,
            "resourceVersion": "1",
            "creationTimestamp": "2026-03-02T10:00:00Z",
            "labels": {"cronwright.dev/task-uid": "t"},
            "annotations": {
                "cronwright.dev/execution": EXECUTION,
                "cronwright.dev/scheduled-time": "2026-03-02T10:00:00Z",
            },
            "finalizers": ["cronwright.dev/record"],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "task"}]}}},
        "status": status,
    }


class World:
    """Everything around the recorder; `calls` is what it asked for, in order."""

    def __init__(self, job: Json, *pods: Any, stored: tuple[Attempt, ...] = (), listed: tuple[Json, ...] = ()) -> None:
        self.job, self.pods, self.stored, self.listed = job, pods, stored, listed
        self.calls: list[str] = []
        self.starts: list[datetime | None] = []
        nothing: Any = SimpleNamespace(
            ended=lambda *_: None,
            log_stored=lambda *_: None,
            follow=self.follow,
            finish=self.finish,
            forget=lambda _: None,
        )
        self.recorder = Recorder(
            objects=self,  # type: ignore[arg-type]
            sources=nothing,
            redaction=SimpleNamespace(conceal=self.conceal),  # type: ignore[arg-type]
            jobs=SimpleNamespace(get=lambda _: self.job, remember=lambda _: None),  # type: ignore[arg-type]
            pods_of=lambda _: self.pods,
            lists=self,  # type: ignore[arg-type]
            executions=SimpleNamespace(attempts=self.attempts),  # type: ignore[arg-type]
            logs=SimpleNamespace(read=self.read, append=self.append),  # type: ignore[arg-type]
            identities=SimpleNamespace(of=self.identity),  # type: ignore[arg-type]
            batcher=self,  # type: ignore[arg-type]
            follower=nothing,
            task_gone=lambda _: False,
            wake_task=lambda _: None,
            look_again=lambda _, __: None,
            usage_of_pod=lambda _: Usage(),
            hold_for=lambda _: None,
            wait_of=lambda _: None,
            now=lambda: CREATED,
            metrics=nothing,
        )

    def sync(self) -> list[str]:
        self.calls = []
        asyncio.run(self.recorder.sync(UID))
        return self.calls

    async def conceal(self, _: str, pods: list[Any]) -> list[Any]:
        return pods

    async def identity(self, _: Any) -> TaskIdentity:
        return TaskIdentity(task_id=1, name="t", owner="alice", project_id=1)

    async def record(self, execution: Execution) -> RecordedExecution:
        self.calls.append(execution.state.status.value)
        self.starts.append(execution.state.attempts[0].start_time if execution.state.attempts else None)
        numbers = {attempt.pod_uid: attempt.number for attempt in execution.state.attempts}
        return RecordedExecution(
            execution_id=EXECUTION, status=execution.state.status, changed=True, attempt_numbers=numbers
        )

    async def patch(self, *_: Any, **__: Any) -> Json:
        self.calls.append("release")
        return self.job

    async def list(self, *_: Any, **__: Any) -> Any:
        self.calls.append("list Pods")
        return SimpleNamespace(items=self.listed)

    async def finish(self, *_: Any, **__: Any) -> None:
        self.calls.append("log to its end")

    def follow(self, *_: Any, **__: Any) -> None:
        self.calls.append("follow")

    def attempts(self, _: str) -> list[Attempt]:
        self.calls.append("stored attempts")
        return list(self.stored)

    def read(self, _: str, *, log_type: str, lines: int, most_bytes: int) -> Any:
        assert most_bytes < 1_000_000
        self.calls.append(f"tail of {log_type}")
        return SimpleNamespace(content=("x",), merged=False)

    def append(self, _: Any) -> None:
        self.calls.append("gap")


def test_what_never_ran_is_one_transaction() -> None:
    assert World(job_body(finished=True), NEVER_RAN).sync() == ["SUCCESS", "release"]


def test_what_is_first_seen_ended_has_its_rows_before_its_log() -> None:
    calls = World(job_body(finished=True), ENDED).sync()
    assert calls == ["RUNNING", "log to its end", "tail of output", "SUCCESS", "release"]


def test_what_was_seen_running_has_them_already() -> None:
    world = World(job_body(finished=False), RUNNING)
    assert world.sync() == ["stored attempts", "RUNNING", "follow"]
    world.job, world.pods = job_body(finished=True), (ENDED,)
    assert world.sync() == ["log to its end", "tail of output", "SUCCESS", "release"]


def test_only_what_failed_is_asked_for_its_errors() -> None:
    failed = replace(ENDED, phase="Failed", exit_code=1)
    calls = World(job_body(finished=True, failed=True), failed).sync()
    assert calls[-4:] == ["tail of output", "tail of error", "FAILED", "release"]


LOST = replace(RUNNING, phase="Failed", start_time=None, terminated_reason="ContainerStatusUnknown")


def test_the_output_of_a_container_that_its_node_has_lost_is_read_to_its_end() -> None:
    """After a reboot the kubelet says of it neither when it began nor when it ended."""
    world = World(job_body(finished=False), RUNNING)
    world.sync()
    world.job, world.pods = job_body(finished=True, failed=True), (LOST,)
    assert world.sync() == ["log to its end", "tail of output", "tail of error", "FAILED", "release"]
    assert world.starts == [RUNNING.start_time, RUNNING.start_time]


def test_so_does_an_operator_that_only_knows_of_it_from_the_record() -> None:
    known = Attempt(1, RUNNING.name, RUNNING.uid, ExecutionStatus.RUNNING, CREATED, start_time=RUNNING.start_time)
    calls = World(job_body(finished=True, failed=True), LOST, stored=(known,)).sync()
    assert calls == ["stored attempts", "log to its end", "tail of output", "tail of error", "FAILED", "release"]


def test_and_while_the_execution_goes_on() -> None:
    second = make_pod("second", job_uid=UID, uid="pod-2", creation_time=at("10:01:00"))
    world = World(job_body(finished=False), RUNNING)
    world.sync()
    world.pods = (LOST, second)
    assert world.sync()[-1] == "log to its end"


def test_what_failed_and_never_ran_has_no_log() -> None:
    assert World(job_body(finished=True, failed=True), LOST).sync() == ["stored attempts", "FAILED", "release"]


def test_a_pod_that_is_missing_is_looked_for_in_the_record_and_in_the_cluster() -> None:
    vanished = Attempt(1, "pod-0", "uid-pod-0", ExecutionStatus.FAILED, CREATED)
    assert World(job_body(finished=True), stored=(vanished,)).sync()[0] == "stored attempts"
    calls = World(job_body(finished=True)).sync()
    assert calls == ["stored attempts", "list Pods", "gap", "SUCCESS", "release"]


def test_an_end_is_not_believed_while_a_pod_runs() -> None:
    world = World(job_body(finished=True), RUNNING, listed=())
    world.listed = ({"metadata": {"namespace": "team-a", "name": "p", "uid": "p"} | AGE, "spec": {}, "status": {}},)
    with pytest.raises(PodsStillEnding):
        world.sync()
    assert "release" not in world.calls


AGE = {"creationTimestamp": "2026-03-02T10:00:00Z"}
