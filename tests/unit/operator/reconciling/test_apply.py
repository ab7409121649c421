"""Carrying out a decision: the order, what a refusal holds up and what it does not, and whose Job a name is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cronwright_core.domain.cluster import StopIntent, StopReason
from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.domain.gate import Limits
from cronwright_core.domain.skips import SkippedTick, UnrecordedSkips
from cronwright_core.domain.task import Request, ScheduledTask
from cronwright_core.kube.codec import build_task, from_task_status, to_task_status
from cronwright_core.kube.errors import (
    KubeAlreadyExists,
    KubeConflict,
    KubeDenied,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    KubeUnreachable,
)
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.resources import JOBS, SCHEDULED_TASKS, Resource
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.ledger import Ledger
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.apply import Applier, NameNotOurs
from cronwright_operator.reconciling.ticks import tick_candidate
from support.builders import CREATED, at, make_job, make_task, settled

TASK = make_task()
STATUS = replace(settled(TASK), last_schedule_time=CREATED)
CREATE = actions.CreateJob(
    {"metadata": {"name": "job"}, "spec": {}}, frozenset({TASK.uid}), tick_candidate(TASK, "job", CREATED)
)
PAUSE = actions.UpdateCronJob("team-a", "cj", {"spec": {"suspend": True}})


class Client:
    """Writes down what is asked; `refuses` names the verb and kind that fail."""

    def __init__(self, refuses: Mapping[tuple[str, str], Exception] | None = None, job: Json | None = None) -> None:
        self.refuses = dict(refuses or {})
        self.recorded: list[actions.RecordCancelled] = []
        self.job = job
        self.calls: list[tuple[str, str, Any]] = []
        self.kinds: list[PatchKind] = []

    def _call(self, verb: str, resource: Resource, detail: Any) -> Json:
        self.calls.append((verb, resource.kind, detail))
        error = self.refuses.get((verb, resource.kind))
        if error is not None:
            raise error
        return {"metadata": {"uid": "u", "resourceVersion": "1", "name": "n", "namespace": "team-a"}, "spec": {}}

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self._call("get", resource, name)
        if self.job is None:
            raise KubeNotFound(404, "NotFound", "none")
        return self.job

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        return self._call("create", resource, body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        subresource: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Json:
        self.kinds.append(kind)
        return self._call("patch", resource, patch)

    async def delete(self, resource: Resource, namespace: str, name: str, **_: Any) -> None:
        self._call("delete", resource, name)

    async def stop(self, job_uid: str, stop: StopIntent) -> None:
        self._call("stop", JOBS, (job_uid, stop.reason.value))

    async def record_cancelled(self, task: ScheduledTask, cancelled: actions.RecordCancelled) -> None:
        self.recorded.append(cancelled)
        self._call("record", SCHEDULED_TASKS, cancelled.request.key)


class Copy:
    """Stands for a reflector."""

    def remember(self, body: Json) -> None:
        return None


def apply(
    client: Client,
    *steps: actions.Action,
    task: ScheduledTask = TASK,
    recorded: bool = True,
    ledger: Ledger | None = None,
    cache: DefinitionCache | None = None,
) -> list[SkippedTick]:
    skipped: list[SkippedTick] = []

    async def record(_: ScheduledTask, ticks: Sequence[SkippedTick]) -> bool:
        client.calls.append(("record", "Skipped", len(ticks)))
        skipped.extend(ticks)
        return recorded

    applier = make_applier(client, record, ledger, cache)
    asyncio.run(applier.apply(task, steps, CREATED)).raise_any()
    return skipped


def make_applier(
    client: Client,
    record: Callable[[ScheduledTask, Sequence[SkippedTick]], Awaitable[bool]],
    ledger: Ledger | None = None,
    cache: DefinitionCache | None = None,
) -> Applier:
    return Applier(
        client,
        cache or DefinitionCache(lambda *_: None, lambda _: None),
        Copy(),  # type: ignore[arg-type]
        Copy(),  # type: ignore[arg-type]
        skipped=record,
        told=lambda _, skipped: None,
        ledger=ledger or Ledger(Limits(), priority_of=lambda _: 0),
        stop=client.stop,
        gone=lambda uid, tick: client.calls.append(("gone", JOBS, (uid, tick))),
        cancelled=client.record_cancelled,
    )


def status_written(client: Client) -> dict[str, Any]:
    (patch,) = (detail for verb, kind, detail in client.calls if kind == "ScheduledTask" and isinstance(detail, list))
    found: dict[str, Any] = patch[-1]["value"]
    return found


def test_a_cronjobs_spec_can_be_replaced_whole() -> None:
    client = Client()
    apply(client, PAUSE)
    assert client.kinds == [PatchKind.STRATEGIC], "in a merge patch `$patch` would be a field like any other"


def test_in_the_order_given() -> None:
    client = Client()
    apply(client, PAUSE, actions.RemoveRequest("trigger.cronwright.dev/1"), actions.WriteStatus(STATUS))
    assert [(verb, kind) for verb, kind, _ in client.calls] == [
        ("patch", "CronJob"),
        ("patch", "ScheduledTask"),
        ("patch", "ScheduledTask"),
    ]


def test_a_job_that_was_made_leaves_the_status_to_the_next_pass() -> None:
    client = Client()
    apply(client, CREATE, actions.WriteStatus(STATUS))
    assert [(verb, kind) for verb, kind, _ in client.calls] == [("create", "Job")]


def test_whether_it_waits_is_asked_of_the_gate_when_it_is_made() -> None:
    client = Client()
    ledger = Ledger(Limits(total=1), priority_of=lambda _: 0)
    apply(client, CREATE, ledger=ledger)
    other = replace(CREATE, candidate=tick_candidate(TASK, "job-2", CREATED))
    apply(client, other, ledger=ledger)
    assert [body["spec"] for _, _, body in client.calls] == [{}, {"suspend": True}]


def test_a_refused_job_gives_its_place_back() -> None:
    ledger = Ledger(Limits(total=1), priority_of=lambda _: 0)
    client = Client({("create", "Job"): KubeForbidden(403, "Forbidden", "exceeded quota: jobs")})
    with pytest.raises(KubeForbidden):
        apply(client, CREATE, ledger=ledger)
    assert ledger.load().total == 0


def test_a_job_of_unknown_outcome_keeps_its_place() -> None:
    ledger = Ledger(Limits(total=1), priority_of=lambda _: 0)
    client = Client({("create", "Job"): KubeUnreachable("no answer")})
    with pytest.raises(KubeUnreachable):
        apply(client, CREATE, ledger=ledger)
    assert ledger.load().total == 1


def test_a_refused_job_is_told_and_holds_up_neither_a_pause_nor_an_edit() -> None:
    client = Client({("create", "Job"): KubeForbidden(403, "Forbidden", "exceeded quota: jobs")})
    steps = (
        PAUSE,
        CREATE,
        actions.WriteStatus(STATUS),
    )
    with pytest.raises(KubeForbidden):
        apply(client, *steps)
    assert [(verb, kind) for verb, kind, _ in client.calls] == [
        ("patch", "CronJob"),
        ("create", "Job"),
        ("patch", "ScheduledTask"),
    ]
    written = status_written(client)
    assert "lastScheduleTime" in written, "an edit has moved it, with the hash that stands beside it"
    assert written["conditions"][0]["reason"] == "JobRefused"
    assert "exceeded quota" in written["conditions"][0]["message"]


def test_a_cronjob_that_may_not_change_holds_up_the_edit_and_nothing_that_somebody_asks_for() -> None:
    client = Client({("patch", "CronJob"): KubeDenied(403, "Forbidden", "denied request: CronJobs stay as they are")})
    cancel = StopIntent(StopReason.CANCELLED, "alice", CREATED, "m")
    replaced = StopIntent(StopReason.REPLACED, "operator", CREATED, "m")
    tick = replace(CREATE, tick=at("10:00:00"))
    steps = (
        *(PAUSE, tick, CREATE, actions.RemoveRequest("trigger.cronwright.dev/1")),
        *(actions.StopExecution("cancelled", cancel), actions.StopExecution("replaced", replaced)),
        *(actions.WithdrawRequest("cancel.cronwright.dev/e"), SKIP, actions.WriteStatus(STATUS)),
    )
    with pytest.raises(KubeDenied):
        apply(client, *steps)
    assert [(verb, kind) for verb, kind, _ in client.calls] == [
        *(("patch", "CronJob"), ("patch", "ScheduledTask"), ("create", "Job"), ("patch", "ScheduledTask")),
        *(("stop", "Job"), ("patch", "ScheduledTask")),
    ], "neither the tick nor what would take its place, and no watermark"
    assert ("stop", "Job", ("cancelled", "Cancelled")) in client.calls
    written = status_written(client)
    assert (written["conditions"][0]["status"], written["conditions"][0]["reason"]) == ("False", "CronJobRefused")
    assert "lastScheduleTime" not in written, "the edit does not count before it is carried out"


def test_a_skipped_tick_is_decided_although_a_manual_run_was_made_in_the_same_pass() -> None:
    client = Client()
    apply(client, SKIP, CREATE, actions.WriteStatus(STATUS))
    assert "lastScheduleTime" in status_written(client), "judged once more it might run"


def test_a_refusal_that_is_told_already_is_not_told_again() -> None:
    client = Client({("create", "Job"): KubeForbidden(403, "Forbidden", "exceeded quota: jobs")})
    with pytest.raises(KubeForbidden):
        apply(client, CREATE, actions.WriteStatus(STATUS))
    told = replace(TASK, status=to_task_status(status_written(client)))
    again = Client(client.refuses)
    with pytest.raises(KubeForbidden):
        apply(again, CREATE, actions.WriteStatus(STATUS), task=told)
    assert [kind for _, kind, _ in again.calls] == ["Job"]


def existing(owner: str) -> Json:
    return {"metadata": {"uid": "j", "ownerReferences": [{"uid": owner, "controller": True}]}}


def test_a_name_that_exists_is_done_if_it_is_ours() -> None:
    exists = {("create", "Job"): KubeAlreadyExists(409, "AlreadyExists", "job")}
    apply(Client(exists, existing(TASK.uid)), CREATE)
    with pytest.raises(NameNotOurs):
        apply(Client(exists, existing("somebody else")), CREATE, actions.WriteStatus(STATUS))


def test_a_job_that_stands_and_may_not_be_accepted_leaves_its_tick_undecided() -> None:
    job = make_job(tick=CREATED)
    refused = {("patch", "Job"): KubeInvalid(400, "BadRequest", "denied by a webhook")}
    accept = actions.AcceptJob(job, "exec-1")
    with pytest.raises(KubeInvalid):
        apply(Client(refused, {"metadata": {"uid": job.uid}}), accept, actions.WriteStatus(STATUS))
    with pytest.raises(KubeInvalid):  # gone: the watch tells of it, and the tick is judged without it
        apply(Client(refused, None), accept, actions.WriteStatus(STATUS))
    deleted = Client(refused, {"metadata": {"uid": job.uid, "deletionTimestamp": "2026-03-02T10:00:00Z"}})
    apply(deleted, accept, actions.WriteStatus(STATUS))
    assert deleted.calls[-1][1] == "ScheduledTask", "no finalizer can be added to it any more"
    assert JOBS.kind == "Job"


SKIP = actions.RecordSkipped(CREATED, "MissedSchedule", "m")
TICK = SkippedTick(CREATED, "MissedSchedule", "m")


def test_skipped_ticks_are_recorded_before_the_watermark_passes_them() -> None:
    client = Client()
    assert apply(client, SKIP, actions.WriteStatus(STATUS)) == [TICK]
    assert [kind for _, kind, _ in client.calls] == ["Skipped", "ScheduledTask"]
    written = status_written(client)
    assert "lastScheduleTime" in written
    assert "unrecordedSkips" not in written


def test_what_a_policy_decided_is_recorded_only_once_the_watermark_has_passed_it() -> None:
    # Decided anew after a crash it may run: a row that says otherwise must not stand before the decision does.
    client = Client()
    busy = actions.RecordSkipped(CREATED, "AlreadyRunning", "m")
    assert apply(client, busy, actions.WriteStatus(STATUS)) == []
    assert [kind for _, kind, _ in client.calls] == ["ScheduledTask"]
    written = status_written(client)
    assert written["lastScheduleTime"]
    account = UnrecordedSkips().with_more([SkippedTick(CREATED, "AlreadyRunning", "m")])
    assert to_task_status(written).unrecorded_skips == account


@pytest.mark.parametrize("with_status", [True, False])
def test_what_cannot_be_recorded_stands_in_the_same_write_of_the_status(with_status: bool) -> None:
    client = Client()
    before = UnrecordedSkips().with_more([SkippedTick(at("09:00:00"), "MissedSchedule", "m")])
    task = replace(TASK, status=replace(STATUS, unrecorded_skips=before))
    steps = (SKIP, actions.WriteStatus(replace(STATUS, unrecorded_skips=before)))
    apply(client, *steps[: 2 if with_status else 1], task=task, recorded=False)
    written = status_written(client)
    assert to_task_status(written).unrecorded_skips == before.with_more([TICK])
    assert written["lastScheduleTime"]


def unrun(key: str) -> actions.RecordCancelled:
    stop = StopIntent(StopReason.INVALID_REQUEST, "kubectl", CREATED, "m")
    return actions.RecordCancelled(Request(key, "{"), CREATED, "kubectl", stop, (f"trigger.cronwright.dev/{key}",))


def test_what_is_recorded_is_taken_off_the_task() -> None:
    client = Client()
    apply(client, unrun("x"))
    assert client.calls[0][:2] == ("record", "ScheduledTask")
    (patch,) = (detail for verb, _, detail in client.calls if verb == "patch")
    assert patch["metadata"]["annotations"] == {"trigger.cronwright.dev/x": None}


def test_a_record_that_cannot_be_committed_keeps_its_annotation_and_holds_up_nothing() -> None:
    client = Client({("record", "ScheduledTask"): Unavailable(Message("m", "PostgreSQL is away"))})
    stop = StopIntent(StopReason.CANCELLED, "alice", CREATED, "m")
    with pytest.raises(Unavailable):
        apply(client, unrun("x"), unrun("y"), actions.StopExecution("job-uid", stop), actions.WithdrawRequest("c"))
    assert [(verb, detail) for verb, _, detail in client.calls[:3]] == [
        ("record", "x"),
        ("record", "y"),
        ("stop", ("job-uid", "Cancelled")),
    ]
    (patch,) = (detail for verb, _, detail in client.calls if verb == "patch")
    assert patch["metadata"]["annotations"] == {"c": None}


def test_a_request_that_names_no_time_is_recorded_under_that_of_the_first_try() -> None:
    away = {("record", "ScheduledTask"): Unavailable(Message("m", "no answer in time, and committed maybe"))}
    client = Client(away)
    applier = make_applier(client, lambda *_: pytest.fail("no tick is skipped"))

    def try_at(time: str) -> None:
        asyncio.run(applier.apply(TASK, (replace(unrun("x"), time=at(time)),), at(time)))

    try_at("10:00:00")
    client.refuses = {}
    try_at("10:00:05")
    # Taken off, and asked for anew: another run.
    try_at("10:00:09")
    assert [record.time for record in client.recorded] == [at("10:00:00"), at("10:00:00"), at("10:00:09")]


def test_a_status_is_written_onto_the_one_that_it_was_decided_on() -> None:
    client = Client()
    status = replace(STATUS, last_schedule_time=at("10:00:00"))
    claimed = replace(status, claimed_time=at("10:01:00"))
    apply(client, actions.WriteStatus(claimed), actions.WriteStatus(status), task=replace(TASK, status=STATUS))
    tests = [{op["path"]: op["value"] for op in patch[:-1]} for _, _, patch in client.calls]
    assert [found["/status/lastScheduleTime"] for found in tests] == ["2026-03-02T09:59:30Z", "2026-03-02T10:00:00Z"]
    assert [found["/status/claimedTime"] for found in tests] == [None, "2026-03-02T10:01:00Z"]


def test_a_refused_status_brings_the_one_that_stands_there() -> None:
    body = build_task("team-a", TASK.name, TASK.spec)
    stamps = {"uid": TASK.uid, "resourceVersion": "200", "creationTimestamp": "2026-03-02T09:59:30Z"}
    body["metadata"] |= stamps
    body["status"] = from_task_status(replace(STATUS, last_schedule_time=at("10:00:00")))
    client = Client({("patch", "ScheduledTask"): KubeInvalid(422, "Invalid", "the test failed")}, body)
    cache = DefinitionCache(lambda *_: None, lambda _: None)
    with pytest.raises(KubeConflict):
        apply(client, actions.WriteStatus(STATUS), cache=cache)
    seen = cache.task(TASK.uid)
    assert seen is not None
    assert seen.status.last_schedule_time == at("10:00:00"), "the next pass decides on it"


GONE = KubeNotFound(404, "NotFound", 'scheduledtasks "nightly-copy" not found')
UNKNOWN_KIND = KubeNotFound(404, "404", "no message")
"""What an API server answers that has not read the CRD yet."""
CRONJOB = actions.CreateCronJob({"metadata": {"name": "cj"}, "spec": {}})
KNOWN = replace(TASK, status=STATUS)
WRITES: tuple[actions.Action, ...] = (
    actions.WriteStatus(replace(STATUS, last_schedule_time=at("10:00:00"))),
    actions.RemoveRequest("trigger.cronwright.dev/1"),
    CRONJOB,
)


def cached() -> DefinitionCache:
    cache = DefinitionCache(lambda *_: None, lambda _: None)
    body = build_task("team-a", TASK.name, TASK.spec)
    body["metadata"] |= {"uid": TASK.uid, "resourceVersion": "100", "creationTimestamp": "2026-03-02T09:59:30Z"}
    cache.put_task(body)
    assert cache.task(TASK.uid) is not None
    return cache


@pytest.mark.parametrize("write", WRITES, ids=["status", "annotation", "CronJob"])
def test_a_task_that_is_not_there_any_more_is_forgotten_and_nothing_more_is_made(write: actions.Action) -> None:
    client, cache = Client({("patch", "ScheduledTask"): GONE, ("get", "ScheduledTask"): GONE}), cached()
    apply(client, write, CREATE, task=KNOWN, cache=cache)
    assert cache.task(TASK.uid) is None
    assert not [kind for verb, kind, _ in client.calls if verb == "create"]


@pytest.mark.parametrize("write", WRITES, ids=["status", "annotation", "CronJob"])
def test_while_the_kind_is_not_known_none_is_forgotten(write: actions.Action) -> None:
    client = Client({("patch", "ScheduledTask"): UNKNOWN_KIND, ("get", "ScheduledTask"): UNKNOWN_KIND})
    cache = cached()
    with pytest.raises(KubeNotFound):
        apply(client, write, CREATE, task=KNOWN, cache=cache)
    assert cache.task(TASK.uid) is not None


def test_the_cronjob_of_another_task_of_the_name_is_not_made() -> None:
    client, cache = Client(job={"metadata": {"uid": "of another"}}), cached()
    apply(client, CRONJOB, task=KNOWN, cache=cache)
    assert [verb for verb, _, _ in client.calls] == ["get"]
    assert cache.task(TASK.uid) is None


def test_the_first_cronjob_of_a_task_is_made_without_asking() -> None:
    client = Client()
    apply(client, CRONJOB)
    assert [(verb, kind) for verb, kind, _ in client.calls] == [("create", "CronJob")]
