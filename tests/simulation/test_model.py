"""The launcher against a simulated cluster: whatever happens, in whatever order, the limits hold, no tick runs twice,
every tick is accounted for, nothing that waits is forgotten, and an edit fires nothing for times before it.

`CRONWRIGHT_MODEL_EXAMPLES=2000` tries so many random lives instead of a few fixed ones; `CRONWRIGHT_MODEL_STEPS` says
how long each is.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PODS, SCHEDULED_TASKS
from support.launch_model.world import World

EXAMPLES = int(os.environ.get("CRONWRIGHT_MODEL_EXAMPLES", "0"))
STEPS = int(os.environ.get("CRONWRIGHT_MODEL_STEPS", "30"))

NAMES = st.sampled_from(["task-0", "task-1", "task-2"])
SCHEDULES = st.sampled_from(
    [
        ("Cron", "* * * * *"),
        ("Cron", "* * * * *"),
        ("Cron", "*/2 * * * *"),
        ("Cron", "1-59/3 * * * *"),
        ("Interval", "60"),
        ("Interval", "75"),
        ("Once", ""),
        ("Date", ""),
    ]
)
SPECS = st.fixed_dictionaries(
    {
        "maxInstances": st.sampled_from([1, 1, 2]),
        "concurrencyPolicy": st.sampled_from(["Forbid", "Queue", "Replace"]),
        "maxQueued": st.sampled_from([1, 10]),
        "priority": st.sampled_from([0, 0, 5]),
        "spreadSeconds": st.sampled_from([0, 0, 0, 20, 90]),
        "suspend": st.sampled_from([False, False, False, True]),
        "projectName": st.sampled_from(["p", "p", "q"]),
        "startingDeadlineSeconds": st.sampled_from([None, None, 30]),
        "pendingDeadlineSeconds": st.sampled_from([900, 900, 60]),
        "activeDeadlineSeconds": st.sampled_from([3600, 3600, 40]),
        "backoffLimit": st.sampled_from([0, 0, 1, 2]),
    }
)
TRIGGERS = st.sampled_from(
    ["now", '{"by": "bob"}', '{"by": "bob", "env": {"A": "b"}}', '{"env": {"CRONWRIGHT_A": "b"}}', "{broken"]
)
"""What people write; the last two cannot be done."""
RUNS_FOR = st.sampled_from([1.0, 5.0, 55.0, 130.0])
AFTERWARDS = st.one_of(
    st.sampled_from([0.0, 0.01, 0.06, 0.25, 1.0, 3.0, 20.0, 70.0]).map(lambda seconds: ("in", seconds)),
    st.sampled_from([-15.0, -9.95, -5.0, -0.1, -0.02, 0.03, 0.08, 0.12, 0.3, 2.0]).map(lambda s: ("minute", s)),
)
"""Time passes after each rule: seconds, or until so long before or after a full minute."""


def step(**arguments: Any) -> Callable[[Any], Any]:
    """A rule after which time passes."""

    def decorate(act: Any) -> Any:
        @functools.wraps(act)
        def with_time(self: Launching, afterwards: tuple[str, float], **drawn: Any) -> None:
            act(self, **drawn)
            self.pass_time(*afterwards)

        return rule(afterwards=AFTERWARDS, **arguments)(with_time)

    return decorate


class Launching(RuleBasedStateMachine):
    """Random lives of a few tasks."""

    world: World
    keys = 0

    @initialize(
        seed=st.integers(0, 1000),
        total=st.sampled_from([0, 1, 2, 3]),
        step_in=st.sampled_from([True, True, True, False]),
        first=SCHEDULES,
        spec=SPECS,
    )
    def begin(self, seed: int, total: int, step_in: bool, first: tuple[str, str], spec: dict[str, Any]) -> None:
        self.world = World(seed=seed, total=total, step_in=step_in)
        self._create("task-0", first, spec, 5.0)
        self.world.start_operator()

    @step(name=NAMES, schedule=SCHEDULES, spec=SPECS, runs_for=RUNS_FOR)
    def create(self, name: str, schedule: tuple[str, str], spec: dict[str, Any], runs_for: float) -> None:
        self._create_if_free(name, schedule, spec, runs_for)

    def _create_if_free(self, name: str, schedule: tuple[str, str], spec: dict[str, Any], runs_for: float) -> None:
        if all(task.name != name for task in self.world.tasks()):
            self._create(name, schedule, spec, runs_for)

    def _create(self, name: str, schedule: tuple[str, str], spec: dict[str, Any], runs_for: float) -> None:
        set_ = {key: value for key, value in spec.items() if value is not None}
        self.world.create_task(name, runs_for=runs_for, **self._scheduled(schedule), **set_)

    @step(name=NAMES, schedule=SCHEDULES)
    def reschedule(self, name: str, schedule: tuple[str, str]) -> None:
        if self._known(name):
            self.world.edit(name, **self._scheduled(schedule))

    @step(name=NAMES, suspend=st.booleans())
    def pause_or_resume(self, name: str, suspend: bool) -> None:
        if self._known(name):
            self.world.edit(name, suspend=suspend)

    @step(name=NAMES, spec=SPECS)
    def edit(self, name: str, spec: dict[str, Any]) -> None:
        if self._known(name):
            self.world.edit(name, **{key: value for key, value in spec.items() if key != "suspend"})

    @step(name=st.sampled_from(["p", "q"]), limit=st.sampled_from([None, 1, 2]))
    def limit_project(self, name: str, limit: int | None) -> None:
        self.world.edit_project(name, limit)

    @step(name=st.sampled_from(["p", "q"]))
    def remove_or_restore_project(self, name: str) -> None:
        self.world.remove_or_restore_project(name)

    @step(name=NAMES, count=st.integers(1, 3))
    def trigger(self, name: str, count: int) -> None:
        for _ in range(count):
            self.keys += 1
            self.world.trigger(name, f"k{self.keys}")

    @step(name=NAMES, value=TRIGGERS)
    def annotate(self, name: str, value: str) -> None:
        """A trigger by hand."""
        self.keys += 1
        self.world.trigger(name, f"k{self.keys}", value)

    @step(name=NAMES, back=st.integers(0, 2), value=st.one_of(st.none(), TRIGGERS))
    def trigger_again(self, name: str, back: int, value: str | None) -> None:
        """Under a key that was used before, of this task or another; in another second, which makes it another run
        where the request does not name its time."""
        self.world.wait(1.0)
        self.world.trigger(name, f"k{max(self.keys - back, 1)}", value)

    @step(name=NAMES)
    def run_from_cronjob(self, name: str) -> None:
        self.keys += 1
        self.world.run_from_cronjob(name, f"by-hand-{self.keys}")

    @step(name=NAMES, suspend=st.booleans())
    def suspend_cronjob(self, name: str, suspend: bool) -> None:
        self.world.edit_cronjob(name, suspend=suspend)

    @step(name=NAMES, line=st.sampled_from(["* * * * *", "*/2 * * * *", "0 0 1 1 *"]))
    def reschedule_cronjob(self, name: str, line: str) -> None:
        self.world.edit_cronjob(name, schedule=line)

    @step(name=NAMES, place=st.integers(0, 3))
    def cancel(self, name: str, place: int) -> None:
        active = next((task.status.active for task in self.world.tasks() if task.name == name), ())
        if active:
            self.world.cancel(name, active[place % len(active)].execution_id)

    @step(name=NAMES, runs_for=RUNS_FOR)
    def change_programs(self, name: str, runs_for: float) -> None:
        task = next((task for task in self.world.tasks() if task.name == name), None)
        if task is not None:
            self.world.runs_for[task.uid] = runs_for

    @step(name=NAMES, attempts=st.sampled_from([0, 1, 1, 5]))
    def break_programs(self, name: str, attempts: int) -> None:
        task = next((task for task in self.world.tasks() if task.name == name), None)
        if task is not None:
            self.world.fails[task.uid] = attempts

    @step(name=NAMES)
    def delete_task(self, name: str) -> None:
        self.world.delete(SCHEDULED_TASKS, name)

    @step(name=NAMES)
    def delete_task_alone(self, name: str) -> None:
        self.world.orphan(name)

    @step(name=NAMES, schedule=SCHEDULES, spec=SPECS, runs_for=RUNS_FOR)
    def make_anew(self, name: str, schedule: tuple[str, str], spec: dict[str, Any], runs_for: float) -> None:
        """Deleted, and created under the same name at once."""
        self.world.delete(SCHEDULED_TASKS, name)
        self._create_if_free(name, schedule, spec, runs_for)

    @step(name=NAMES)
    def hold_task(self, name: str) -> None:
        self.world.hold(name)

    @step()
    def let_held_tasks_go(self) -> None:
        self.world.let_held_go()

    @step(place=st.integers(0, 5))
    def delete_job(self, place: int) -> None:
        jobs = self.world.jobs()
        if jobs:
            self.world.delete(JOBS, jobs[place % len(jobs)].name)

    @step(place=st.integers(0, 5))
    def delete_pod(self, place: int) -> None:
        names = [body["metadata"]["name"] for body in self.world.server.all(PODS)]
        if names:
            self.world.delete(PODS, names[place % len(names)])

    @step(none=st.booleans())
    def use_up_quota(self, none: bool) -> None:
        self.world.weather.refuses_jobs = none

    @step(refuses=st.booleans())
    def refuse_cronjobs(self, refuses: bool) -> None:
        self.world.weather.refuses_cronjobs = refuses

    @step(quota=st.booleans(), full=st.booleans())
    def fill_nodes(self, quota: bool, full: bool) -> None:
        self.world.job_controller.quota, self.world.job_controller.full = quota, full

    @step(minutes=st.sampled_from([1, 3, 8]))
    def wait_long(self, minutes: int) -> None:
        self.world.wait(60 * minutes)

    @step(faults=st.lists(st.sampled_from(["before", "after", "late", "refuse"]), min_size=1, max_size=3))
    def fail_requests(self, faults: list[str]) -> None:
        self.world.weather.faults += faults

    @step(seconds=st.sampled_from([2.0, 15.0, 100.0]))
    def outage(self, seconds: float) -> None:
        self.world.disturb_for(seconds)

    @step(lag=st.sampled_from([0.0, 0.02, 0.5, 2.0]), slow=st.sampled_from([0.005, 0.05, 0.4]))
    def change_weather(self, lag: float, slow: float) -> None:
        self.world.change_weather(lag, slow)

    @step()
    def expire_watches(self) -> None:
        self.world.expire_watches()

    @step(ahead=st.sampled_from([-30.0, -5.0, 0.0, 5.0, 30.0]))
    def set_clock(self, ahead: float) -> None:
        self.world.set_clock(ahead)

    @step(seconds=st.sampled_from([0.0, 0.02, 0.3]))
    def restart_operator(self, seconds: float) -> None:
        self.world.end_operator()
        self.world.wait(seconds)
        self.world.start_operator()

    @step()
    def end_operator(self) -> None:
        self.world.end_operator()

    @step()
    def start_operator(self) -> None:
        self.world.start_operator()

    @step(write=st.integers(1, 6), arrives=st.booleans())
    def let_operator_die(self, write: int, arrives: bool) -> None:
        self.world.let_operator_die(write, arrives)

    @step(write=st.integers(1, 6), late=st.sampled_from([0.5, 3.0, 12.0, 20.0]))
    def let_operator_freeze_while_it_writes(self, write: int, late: float) -> None:
        self.world.let_operator_die(write, arrives=False, late_seconds=late)

    @step(seconds=st.sampled_from([0.0, 0.5, 3.0, 12.0, 20.0]))
    def keep_requests_back(self, seconds: float) -> None:
        self.world.keep_requests_back(seconds)

    @step()
    def replace_dead_operator(self) -> None:
        self.world.replace_dead_operator()

    @step(slow=st.sampled_from([0.01, 0.3, 1.5]))
    def slow_controller(self, slow: float) -> None:
        self.world.cron.slow_seconds = slow

    @precondition(lambda self: self.world.controller_there)
    @step()
    def take_controller_away(self) -> None:
        self.world.away_controller()

    @precondition(lambda self: not self.world.controller_there)
    @step()
    def bring_controller_back(self) -> None:
        self.world.back_controller()

    @step(away=st.booleans())
    def database(self, away: bool) -> None:
        self.world.database.away = away

    @step(name=NAMES)
    def delete_cronjob(self, name: str) -> None:
        names = [body["metadata"]["name"] for body in self.world.server.all(CRON_JOBS)]
        found = next((cronjob for cronjob in names if cronjob.startswith(name)), None)
        if found is not None:
            self.world.delete(CRON_JOBS, found)

    def pass_time(self, kind: str, seconds: float) -> None:
        now = self.world.now()
        if kind == "minute":
            minute = now.replace(second=0, microsecond=0) + timedelta(seconds=seconds)
            while minute <= now:
                minute += timedelta(minutes=1)
            seconds = (minute - now).total_seconds()
        self.world.wait(seconds)

    def teardown(self) -> None:
        """Load ends, everybody is there, nothing fails: then all comes to rest."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.settle()
        finally:
            self.world.close()

    def _known(self, name: str) -> ScheduledTask | None:
        """Edits before the operator has ever seen a task are no edits to it."""
        task = next((task for task in self.world.tasks() if task.name == name), None)
        return task if task is not None and task.status.schedule_hash is not None else None

    def _scheduled(self, schedule: tuple[str, str]) -> dict[str, str]:
        type_, text = schedule
        if type_ == "Date":
            text = to_rfc3339(self.world.now() + timedelta(seconds=90))
        return {"scheduleType": type_, "schedule": text}


Launching.TestCase.settings = settings(
    max_examples=EXAMPLES or 12,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=not EXAMPLES,
    # Shrinking takes minutes: what a failing life comes down to is asked for by CRONWRIGHT_MODEL_EXAMPLES.
    phases=list(Phase) if EXAMPLES else [Phase.explicit, Phase.generate],
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestLaunching = Launching.TestCase
