"""The simulated world: API server, controllers, database, network, people - and an operator, when there is one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.domain.schedule import next_time, parse_schedule
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.ticks import start_offset
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.codec import to_task
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PROJECTS, SCHEDULED_TASKS
from cronwright_core.kube.workloads import to_job
from cronwright_operator.leadership import RENEW_DEADLINE_SECONDS
from support.builders import at
from support.launch_model.api_server import ApiServer
from support.launch_model.controllers import CronJobController, JobController
from support.launch_model.database import Database
from support.launch_model.history import History
from support.launch_model.link import Death, Link, Weather
from support.launch_model.operator import Operator
from support.launch_model.order import Order
from support.launch_model.outcomes import Outcomes
from support.launch_model.virtual_loop import VirtualLoop

BEGIN = at("10:00:20")
NAMESPACE = "team-a"


class World:
    """Verbs for tests; all act at once or let time pass. `close` it."""

    def __init__(self, *, seed: int = 0, total: int = 0, step_in: bool = True, keep_seconds: int = 120) -> None:
        self.loop = VirtualLoop()
        self.weather = Weather(Random(seed))
        self.death = Death()
        self.database = Database()
        self.step_in = step_in
        self.jump = timedelta()
        """How far the operator's clock is ahead."""
        self.clock_was_wrong = False
        self.runs_for: dict[str, float] = {}
        self.fails: dict[str, int] = {}
        """How many attempts of each run end with an error, by task."""
        self.takeover_seconds = 0.0
        """So long nobody is there when an operator has died."""
        self._total, self._keep_seconds = total, keep_seconds
        self._disturbed = -1000.0
        self._operator: Operator | None = None
        self._life: asyncio.Task[None] | None = None
        self._losses: list[asyncio.Task[None]] = []
        self._controller: asyncio.Task[None] | None = None
        self.log = _Errors()
        logging.getLogger("cronwright_operator").addHandler(self.log)
        logging.getLogger("cronwright_core").addHandler(self.log)
        self.loop.play(self._begin())

    async def _begin(self) -> None:
        self.server = ApiServer(self.now)
        self.history = History(self, self._total or None)
        self.server.hooks.append(self.history.changed)
        order = Order(
            tell=self.history.violations.append,
            fits=lambda job: not self._slot_is_held(job.task_uid) and self.history.fits(job),
            priority_of=self._priority_of,
            quiet_for=lambda: self.loop.time() - self.last_disturbance(),
        )
        self.server.hooks.append(order.changed)
        self.cron = CronJobController(self.server, self.now)
        self.outcomes = Outcomes()
        self.server.hooks.append(self.outcomes.changed)
        self.job_controller = JobController(self.server, self.now, self._seconds_of, self._failures_of)
        self._create_projects("p", "q")
        self._controller = self.loop.create_task(self.cron.run())

    def close(self) -> None:
        for name in ("cronwright_operator", "cronwright_core"):
            logging.getLogger(name).removeHandler(self.log)
        self.loop.play(self._end())
        self.loop.close()
        asyncio.set_event_loop(None)

    async def _end(self) -> None:
        for work in (*self._losses, self._life, self._controller):
            await _cancelled(work)
        await self.loop.shutdown_asyncgens()

    def _slot_is_held(self, task_uid: str) -> bool:
        return self._operator is None or self._operator.ledger.held(task_uid) is not None

    def _priority_of(self, task_uid: str) -> int | None:
        """None where a run's age cannot be told from its Job: it counts from its share of a spread."""
        task = next((task for task in self.tasks() if task.uid == task_uid), None)
        return task.spec.priority if task is not None and not task.spec.spread_seconds else None

    # What history asks

    def seconds(self) -> float:
        return self.loop.time()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.loop.time())

    def last_disturbance(self) -> float:
        # A clock that far behind is no moment's trouble: each reservation comes after the controller's tick.
        behind = self.jump <= timedelta(seconds=-8)
        blind = self._operator is None or self.death.happened or self.weather.lag_seconds > 1 or behind
        blind = blind or self.weather.refuses_cronjobs
        return self.loop.time() if blind else max(self._disturbed, min(self.weather.outage_until, self.loop.time()))

    def deaf_until(self) -> float:
        return self.weather.outage_until

    def disturb(self) -> None:
        """From now on a slot may not have been reserved in time."""
        self._disturbed = self.loop.time()

    # The operator

    @property
    def operator(self) -> Operator | None:
        return self._operator

    def start_operator(self) -> None:
        self.loop.play(self._start())

    async def _start(self) -> None:
        if self._operator is not None:
            return
        self.disturb()
        link = Link(self.server, self.weather, self.death, self.disturb)
        self._operator = Operator(
            link,
            self.database,
            lambda: self.now() + self.jump,
            total=self._total,
            step_in=self.step_in,
            keep_seconds=self._keep_seconds,
        )
        self._life = self.loop.create_task(self._operator.run())

    def end_operator(self) -> None:
        """At once, whatever it is at; all that it knew is lost."""
        self.disturb()
        self.loop.play(_cancelled(self._life))
        if self._operator is not None:
            self.log.bugs += self._operator.bugs
        self._operator, self._life = None, None

    def replace_dead_operator(self) -> None:
        """If it has met its death, another one takes over."""
        if self.death.happened:
            self.end_operator()
            self.death = Death()
            self.start_operator()

    def let_operator_die(self, write: int, arrives: bool, late_seconds: float | None = None) -> None:
        """At its write number `write` from now on, which still arrives or does not, or does so much later."""
        if self._operator is not None and not self.death.happened:
            self.death.at, self.death.arrives = len(self.death.writes) + write, arrives
            self.death.late_seconds = late_seconds

    def keep_requests_back(self, seconds: float) -> None:
        """What is under way when an operator ends arrives so much later; 0: never."""
        self.weather.late_seconds = seconds

    def set_clock(self, ahead_seconds: float) -> None:
        """The operator's wall clock jumps to so far ahead of all others."""
        self.disturb()
        self.clock_was_wrong = True
        self.jump = timedelta(seconds=ahead_seconds)

    def change_weather(self, lag: float, slow: float) -> None:
        """How long watches lag and requests take."""
        self.disturb()
        self.weather.lag_seconds, self.weather.slow_seconds = lag, slow

    def disturb_for(self, seconds: float) -> None:
        """The operator, and it alone, does not reach the API server. It ends when it could not renew its lease for so
        long, and the next one has to list everything."""
        self.weather.outage_until = self.loop.time() + seconds
        if seconds > RENEW_DEADLINE_SECONDS and self._operator is not None:
            self._losses.append(self.loop.create_task(self._lose_lease(self._operator)))

    async def _lose_lease(self, operator: Operator) -> None:
        await asyncio.sleep(RENEW_DEADLINE_SECONDS)
        if self._operator is not operator or self.death.happened:
            return
        await _cancelled(self._life)
        self.log.bugs += operator.bugs
        self._operator, self._life = None, None
        await self._start()

    def expire_watches(self) -> None:
        """The operator lists everything anew."""
        self.disturb()
        self.weather.expiries += 1
        self.server.wake_watches()

    @property
    def controller_there(self) -> bool:
        return self._controller is not None

    def away_controller(self) -> None:
        self.loop.play(_cancelled(self._controller))
        self._controller = None

    def back_controller(self) -> None:
        async def back() -> None:
            self._controller = self.loop.create_task(self.cron.run())

        if self._controller is None:
            self.loop.play(back())

    # People

    def create_task(self, name: str, *, runs_for: float = 5.0, **spec: Any) -> str:
        async def create() -> Json:
            body = {"metadata": {"name": name}, "spec": {"projectName": "p", "pendingDeadlineSeconds": 900, **spec}}
            return self.server.create(SCHEDULED_TASKS, NAMESPACE, body, by="user")

        uid: str = self.loop.play(create())["metadata"]["uid"]
        self.runs_for[uid] = runs_for
        return uid

    def edit(self, name: str, **spec: Any) -> None:
        self.disturb()
        self.patch(SCHEDULED_TASKS, name, {"spec": spec})

    def edit_project(self, name: str, limit: int | None) -> None:
        self.disturb()
        self.patch(PROJECTS, name, {"spec": {"maxConcurrentExecutions": limit}})

    def remove_or_restore_project(self, name: str) -> None:
        self.disturb()

        async def act() -> None:
            if self.server.find(PROJECTS, NAMESPACE, name) is None:
                self._create_projects(name)
            else:
                self.server.delete(PROJECTS, NAMESPACE, name, by="user")

        self.loop.play(act())

    def _create_projects(self, *names: str) -> None:
        for name in names:
            if self.server.find(PROJECTS, NAMESPACE, name) is None:
                body = {"metadata": {"name": name}, "spec": {"image": "i", "owner": "a"}}
                self.server.create(PROJECTS, NAMESPACE, body, by="user")

    def trigger(self, name: str, key: str, value: str | None = None) -> None:
        """As the API asks for a manual run, or as a person does who writes something else."""
        if value is None:
            value = json.dumps({"by": "alice", "time": to_rfc3339(self.now())})
        self.patch(SCHEDULED_TASKS, name, {"metadata": {"annotations": {naming.TRIGGER_PREFIX + key: value}}})

    def cancel(self, name: str, execution_id: str) -> None:
        self.patch(SCHEDULED_TASKS, name, {"metadata": {"annotations": {naming.CANCEL_PREFIX + execution_id: "now"}}})

    def run_from_cronjob(self, task: str, name: str) -> None:
        """`kubectl create job --from=cronjob/...` (kubectl, create_job.go: labels and annotations of the template, its
        owner, and no limit of ours). Nothing where the task has no CronJob."""

        async def act() -> None:
            cronjob = self._cronjob_of(task)
            if cronjob is None or self.server.find(JOBS, NAMESPACE, name) is not None:
                return
            template, metadata = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
            owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": metadata["name"], "uid": metadata["uid"]}
            annotations = {**template["metadata"].get("annotations", {}), naming.CRONJOB_MANUAL_ANNOTATION: "manual"}
            body = {
                "metadata": {
                    "name": name,
                    "labels": template["metadata"]["labels"],
                    "annotations": annotations,
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "spec": template["spec"],
            }
            self.server.create(JOBS, NAMESPACE, body, by="user")

        self.loop.play(act())

    def edit_cronjob(self, task: str, **spec: Any) -> None:
        """By hand, past the task that owns it."""
        self.disturb()
        cronjob = self._cronjob_of(task)
        if cronjob is not None:
            self.patch(CRON_JOBS, cronjob["metadata"]["name"], {"spec": spec})

    def _cronjob_of(self, task: str) -> Json | None:
        uids = {
            body["metadata"]["uid"] for body in self.server.all(SCHEDULED_TASKS) if body["metadata"]["name"] == task
        }
        return next(
            (body for body in self.server.all(CRON_JOBS) if body["metadata"]["labels"][naming.TASK_UID_LABEL] in uids),
            None,
        )

    def hold(self, name: str) -> None:
        """Somebody else's controller puts its finalizer on a task."""
        body = self.server.find(SCHEDULED_TASKS, NAMESPACE, name)
        if body is not None and "deletionTimestamp" not in body["metadata"]:
            self.patch(SCHEDULED_TASKS, name, {"metadata": {"finalizers": ["example.com/audit"]}})

    def let_held_go(self) -> None:
        """And takes it off again."""
        for body in list(self.server.all(SCHEDULED_TASKS)):
            self.patch(SCHEDULED_TASKS, body["metadata"]["name"], {"metadata": {"finalizers": None}})

    def orphan(self, name: str) -> None:
        """`kubectl delete scheduledtask --cascade=orphan`: the garbage collector takes the owner off what the task
        owned (garbagecollector.go, orphanDependents), then the task goes."""
        self.let_held_go()

        async def act() -> None:
            task = self.server.find(SCHEDULED_TASKS, NAMESPACE, name)
            if task is None:
                return
            uid = task["metadata"]["uid"]
            for (plural, _, owned), body in list(self.server.objects.items()):
                owners = body["metadata"].get("ownerReferences") or []
                left = [owner for owner in owners if owner["uid"] != uid]
                if left != owners:
                    resource = next(known for known in (CRON_JOBS, JOBS) if known.plural == plural)
                    patch = {"metadata": {"ownerReferences": left or None}}
                    self.server.patch(resource, NAMESPACE, owned, patch, by="garbage collector")
            self.server.delete(SCHEDULED_TASKS, NAMESPACE, name, by="user")

        self.disturb()
        self.loop.play(act())

    def delete(self, resource: Any, name: str) -> None:
        async def delete() -> None:
            with contextlib.suppress(Exception):
                self.server.delete(resource, NAMESPACE, name, by="user")

        self.disturb()
        self.loop.play(delete())

    def patch(self, resource: Any, name: str, patch: Json) -> None:
        """As `kubectl patch`; nothing where there is no such object."""

        async def act() -> None:
            if self.server.find(resource, NAMESPACE, name) is not None:
                self.server.patch(resource, NAMESPACE, name, patch, by="user")

        self.loop.play(act())

    def _seconds_of(self, job: Json) -> float:
        return self.runs_for.get(to_job(job).task_uid, 5.0)

    def _failures_of(self, job: Json) -> int:
        return self.fails.get(to_job(job).task_uid, 0)

    # Time, and looking

    def wait(self, seconds: float) -> None:
        """Lets time pass, and says what went wrong meanwhile."""
        self.loop.play(asyncio.sleep(seconds))
        self.check()

    def wait_until(self, clock: str) -> None:
        self.wait((at(clock) - self.now()).total_seconds())

    def check(self) -> None:
        assert self.history.violations == [], "\n".join(self.history.violations)
        assert self.database.contradictions == []
        assert self.log.bugs == [], self.log.bugs
        assert self._life is None or not self._life.done(), self._life
        if self._operator is not None:
            assert self._operator.bugs == []

    def tasks(self) -> Iterator[ScheduledTask]:
        return (to_task(body) for body in self.server.all(SCHEDULED_TASKS))

    def task(self, name: str) -> ScheduledTask:
        return to_task(self.server.get(SCHEDULED_TASKS, NAMESPACE, name))

    def jobs(self) -> list[Any]:
        return [to_job(body) for body in self.server.all(JOBS)]

    def settle(self) -> None:
        """Load ends, everybody is there, nothing fails: waits until all has come to rest, and checks it."""
        self.check()
        self.weather.faults.clear()
        self.weather.outage_until = 0.0
        self.change_weather(0.02, 0.02)
        self.weather.refuses_jobs = self.weather.refuses_cronjobs = False
        self.job_controller.quota = self.job_controller.full = False
        self.database.away = False
        self.jump = timedelta()
        self.replace_dead_operator()
        self.death.at = None
        self.let_held_go()
        self.loop.play(self._restore_projects())
        self.start_operator()
        self.back_controller()
        self.runs_for = dict.fromkeys(self.runs_for, 1.0)
        self.wait(240 if self.step_in else 600)
        for _ in range(200):
            self.wait(1)
            if not self._busy():
                break
        self.check_settled()

    async def _restore_projects(self) -> None:
        self._create_projects("p", "q")

    def _busy(self) -> bool:
        open_ = any(not job.finished or job.has_finalizer for job in self.jobs())
        # A tick that waits for its share of the spread is not late: a task that has always one would never rest.
        overdue = any(
            self.history.overdue(task, timedelta(seconds=task.spec.spread_seconds)) is not None for task in self.tasks()
        )
        asked = any(task.triggers or task.cancels for task in self.tasks())
        # A task that cannot run keeps its requests for when it can.
        return open_ or overdue or asked or any(task.status.active for task in self.tasks())

    def check_settled(self) -> None:
        """To be asked when load has ended, everybody is there and nothing fails: all has come to its end."""
        self.check()
        patience = timedelta(seconds=10) if self.step_in else timedelta(minutes=6)
        late = {self.outcomes.accepted.get(uid) for uid in self.database.came_late}
        for task in self.tasks():
            spread = timedelta(seconds=task.spec.spread_seconds)
            assert self.history.overdue(task, patience + spread) is None, (task.name, task.status)
            untold = self.history.unaccounted(task.uid)
            assert untold == [], (task.name, untold)
            ready = task.status.ready
            waits = ready is not None and not ready.status  # it cannot run: manual runs wait until it can
            assert task.cancels == (), (task.name, task.cancels)
            assert waits or task.triggers == (), (task.name, task.triggers)
            self._check_status(task, patience)
            last = self.database.rows.get(task.status.last_execution_id or "")
            shown = task.status.last_execution_status
            decided_otherwise = task.status.last_execution_id in late
            assert last is None or decided_otherwise or shown == last.status, (task.name, task.status.last_execution_id)
        jobs = self.jobs()
        waiting = [job.name for job in jobs if job.suspended and not job.finished]
        assert waiting == [], f"these starve: {waiting}"
        unrecorded = [job.name for job in jobs if job.has_finalizer and job.finished]
        assert unrecorded == [], f"not recorded: {unrecorded}"
        waiting = {(task.uid, request.key) for task in self.tasks() for request in task.triggers}
        wrong = self.outcomes.wrong(self.database.rows, waiting)
        assert wrong == [], "\n".join(wrong)
        for cronjob in self.server.all(CRON_JOBS):
            active = (cronjob.get("status") or {}).get("active") or ()
            known = {job.uid for job in jobs}
            assert all(item["uid"] in known for item in active) or not active

    def _check_status(self, task: ScheduledTask, patience: timedelta) -> None:
        """What the task's status says of its runs is so, and its next start is one."""
        known = {job.name: job for job in self.jobs()}
        for run in task.status.active:
            job = known.get(run.job_name)
            assert job is not None, (task.name, run)
            assert not job.finished, (task.name, run)
        start = task.status.next_schedule_time
        ready = task.status.ready
        if task.spec.suspend or task.status.completion_time is not None or ready is None or not ready.status:
            assert start is None, (task.name, task.status)
            return
        assert start is None or start > self.now() - patience, (task.name, task.status)
        schedule = parse_schedule(task.spec.schedule_type, task.spec.schedule, task.spec.time_zone)
        offset = start_offset(schedule, task.uid, task.spec.spread_seconds)
        anchor = task.status.anchor_time or task.creation_time
        following = next_time(schedule, base=self.now() - offset, anchor=anchor)
        # It may just have come, and stand there until it is decided.
        assert (start is None) == (following is None) or start is not None, (task.name, task.status)
        if start is not None:
            before = start - offset - timedelta(seconds=1)
            assert next_time(schedule, base=before, anchor=anchor) == start - offset, (task.name, task.status)
            assert following is None or start <= following + offset, (task.name, task.status)


async def _cancelled(work: asyncio.Task[None] | None) -> None:
    if work is None:
        return
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


class _Errors(logging.Handler):
    """Errors in the log are bugs: trouble outside is told as a warning at most."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.bugs: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.bugs.append(record.getMessage() + (str(record.exc_info[1]) if record.exc_info else ""))
