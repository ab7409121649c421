"""While the CronJob controller makes many Jobs our own writes wait; the clock is an argument."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from cronwright_operator.launching import controllers_turn
from cronwright_operator.launching.controllers_turn import LONGEST, MANY, ControllersTurn, is_making
from support.builders import at, make_task

TICK = at("10:00:00")


@pytest.mark.parametrize(
    ("now", "held", "expected"),
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
def test_it_is_its_turn_while_ticks_have_come_and_their_jobs_have_not(
    now: datetime, held: list[datetime], expected: bool
) -> None:
    assert is_making(held, now, MANY) is expected


class Minute:
    """Held slots and the wall clock of a turn."""

    def __init__(self, *, step_in: bool = False) -> None:
        self.now = TICK
        self.held = [TICK] * MANY
        self.woken: list[str] = []
        self.turn = ControllersTurn(lambda: self.held, self.woken.append, lambda: self.now, step_in=step_in)

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_it_never_is_while_we_step_in() -> None:
    assert not Minute(step_in=True).turn.lasts()


def test_a_tick_is_noticed_within_milliseconds_of_its_time() -> None:
    minute = Minute()
    minute.pass_seconds(-0.021)
    assert not minute.turn.lasts()
    minute.pass_seconds(0.021)
    assert minute.turn.lasts()


def test_who_waits_goes_on_and_what_was_put_off_is_looked_at_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controllers_turn, "_LOOK_SECONDS", 0.01)

    async def scenario() -> None:
        minute, order = Minute(), list[str]()

        async def record() -> None:
            await minute.turn.wait_calm()
            order.append("record")

        task = make_task()
        assert minute.turn.lasts()
        minute.turn.put_off(task, None)
        assert minute.turn.has_put_off(task)
        minute.turn.put_off(task, minute.now)
        assert not minute.turn.has_put_off(task), "its next time has come"
        minute.turn.put_off(task, minute.now + timedelta(microseconds=1))
        assert minute.turn.has_put_off(task)
        assert not minute.turn.has_put_off(make_task()), "somebody has changed it: it is looked at"
        async with asyncio.TaskGroup() as group:
            running = group.create_task(minute.turn.run())
            group.create_task(record())
            await asyncio.sleep(0)
            assert (order, minute.woken) == ([], [])
            minute.held = []
            minute.pass_seconds(1)
            async with asyncio.timeout(10):
                while not order or not minute.woken:
                    await asyncio.sleep(0.01)
            running.cancel()
        assert (order, minute.woken) == (["record"], [task.uid])
        assert not minute.turn.has_put_off(task)

    asyncio.run(scenario())
