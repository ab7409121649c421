"""While many ticks are open what we tell and record waits; the clock is an argument."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from cronwright_operator.launching import burst as module
from cronwright_operator.launching.burst import CROWD, FEW, LONGEST, MANY, NEW, Burst, is_burst
from support.builders import at, make_task
from support.launch_model.virtual_loop import VirtualLoop

TICK = at("10:00:00")


@pytest.mark.parametrize(
    ("now", "open_ticks", "expected"),
    [
        (TICK, [TICK] * MANY, True),
        (TICK + timedelta(seconds=5), [TICK] * MANY, True),
        (TICK - timedelta(milliseconds=1), [TICK] * MANY, False),
        (TICK + timedelta(seconds=5), [TICK] * (MANY - 1), False),
        (TICK + LONGEST, [TICK] * MANY, False),
        (TICK + timedelta(seconds=5), [TICK] * (MANY - 1) + [at("10:01:00")] * MANY, False),
        (TICK, [], False),
    ],
    ids=["at the tick", "seconds after", "before", "few", "for too long", "of another minute", "none"],
)
def test_it_lasts_while_many_ticks_that_have_come_just_now_are_open(
    now: datetime, open_ticks: list[datetime], expected: bool
) -> None:
    assert is_burst(open_ticks, now, MANY) is expected


class Minute:
    """Open ticks and the wall clock of a burst."""

    def __init__(self) -> None:
        self.now = TICK
        self.open = [TICK] * MANY
        self.woken: list[str] = []
        self.burst = Burst(lambda: self.open, self.woken.append, lambda: self.now)

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_a_tick_is_noticed_within_milliseconds_of_its_time() -> None:
    minute = Minute()
    minute.pass_seconds(-0.021)
    assert not minute.burst.lasts()
    minute.pass_seconds(0.021)
    assert minute.burst.lasts()


def test_it_is_over_at_once_if_the_clock_jumps_back() -> None:
    minute = Minute()
    assert minute.burst.lasts()
    minute.pass_seconds(-3600)
    assert not minute.burst.lasts(), "its ticks lie ahead now; for an hour nothing would be told"


def test_what_was_put_off_waits_for_nothing_once_it_is_over() -> None:
    minute, task = Minute(), make_task()
    assert minute.burst.lasts()
    minute.burst.put_off(task, None)
    minute.open = []
    minute.pass_seconds(1)
    assert not minute.burst.has_put_off(task)


def test_who_waits_goes_on_and_what_was_put_off_is_looked_at_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)

    async def scenario() -> None:
        minute, order = Minute(), list[str]()

        async def record() -> None:
            await minute.burst.wait_calm()
            order.append("record")

        task = make_task()
        assert minute.burst.lasts()
        minute.burst.put_off(task, None)
        assert minute.burst.has_put_off(task)
        minute.burst.put_off(task, minute.now)
        assert not minute.burst.has_put_off(task), "its next time has come"
        minute.burst.put_off(task, minute.now + timedelta(microseconds=1))
        assert minute.burst.has_put_off(task)
        assert not minute.burst.has_put_off(make_task()), "somebody has changed it: it is looked at"
        async with asyncio.TaskGroup() as group:
            running = group.create_task(minute.burst.run())
            group.create_task(record())
            await asyncio.sleep(0)
            assert (order, minute.woken) == ([], [])
            minute.open = []
            minute.pass_seconds(1)
            async with asyncio.timeout(10):
                while not order or not minute.woken:
                    await asyncio.sleep(0.01)
            running.cancel()
        assert (order, minute.woken) == (["record"], [task.uid])
        assert not minute.burst.has_put_off(task)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("without_pod", "open_ticks", "expected"),
    [
        ([TICK] * CROWD, 0, FEW),
        ([TICK] * (CROWD - 1), 0, 96),
        ([TICK - NEW] * CROWD, 0, 96),
        ([TICK] * CROWD, MANY, 96),
    ],
    ids=["the controllers are busy", "they are not", "these get none soon", "CronJobs' statuses come before Pods"],
)
def test_a_crowd_that_waits_for_pods_leaves_the_rest_few_places(
    without_pod: list[datetime], open_ticks: int, expected: int
) -> None:
    burst = Burst(lambda: [TICK] * open_ticks, lambda _: None, lambda: TICK, without_pod=lambda: without_pod)
    assert burst.at_once(96) == expected
    assert burst.at_once(2) == min(expected, 2)


@pytest.mark.parametrize(
    ("without_pod", "open_ticks", "pauses"),
    [(0, MANY - 1, False), (0, MANY, True), (CROWD - 1, 0, False), (CROWD, 0, True)],
    ids=["calm", "a burst", "some Jobs without a Pod", "a crowd of them"],
)
def test_events_gather_while_others_are_busy_and_are_read_at_once_else(
    without_pod: int, open_ticks: int, pauses: bool
) -> None:
    burst = Burst(lambda: [TICK] * open_ticks, lambda _: None, lambda: TICK, without_pod=lambda: [TICK] * without_pod)

    async def pause() -> float:
        begun = asyncio.get_running_loop().time()
        await burst.pause()
        return asyncio.get_running_loop().time() - begun

    with closing(VirtualLoop()) as loop:
        assert loop.play(pause()) == pytest.approx(module._READ_SECONDS if pauses else 0)


def test_a_crowd_is_one_until_few_are_left() -> None:
    now, without_pod = TICK, [TICK] * (CROWD - 1)
    burst = Burst(list, lambda _: None, lambda: now, without_pod=lambda: without_pod)

    def after(seconds: int, waiting: int) -> bool:
        nonlocal now, without_pod
        now, without_pod = TICK + timedelta(seconds=seconds), [TICK] * waiting
        return burst.crowded()

    assert not burst.crowded()
    assert [after(1, CROWD), after(2, CROWD - 1), after(3, MANY), after(4, MANY - 1)] == [True, True, True, False]
    assert not after(5, CROWD - 1), "what comes afterwards is no crowd yet"


def test_a_crowd_that_never_ends_is_none_after_a_while() -> None:
    now = TICK
    burst = Burst(list, lambda _: None, lambda: now, without_pod=lambda: [now] * CROWD)
    assert burst.crowded()
    now = TICK + NEW - timedelta(seconds=1)
    assert burst.crowded()
    now = TICK + NEW
    assert not burst.crowded()
    now = TICK + 2 * NEW
    assert not burst.crowded(), "more came all the time, and none got a Pod"
