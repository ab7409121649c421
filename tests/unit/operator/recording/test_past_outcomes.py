"""What is read of the past for a task's status: beside the decisions, and once."""

from __future__ import annotations

import asyncio
from contextlib import closing

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.errors import unavailable
from cronwright_operator.recording.past_outcomes import PastOutcomes
from support.launch_model.virtual_loop import VirtualLoop


def ask(answers: list[ExecutionStatus | Exception | None], seconds: float) -> tuple[list[str], ExecutionStatus | None]:
    """Asks twice at the beginning and once at the end: (who was woken, the last answer)."""
    woken: list[str] = []

    async def read(execution_id: str) -> ExecutionStatus | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> ExecutionStatus | None:
        outcomes = PastOutcomes(read, woken.append)
        work = asyncio.create_task(outcomes.run())

        def first() -> ExecutionStatus | None:
            return outcomes.of("task", "exec-1")

        assert (first(), first()) == (None, None), "no decision waits for it"
        await asyncio.sleep(seconds)
        found = outcomes.of("task", "exec-1")
        await asyncio.sleep(1)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return found

    with closing(VirtualLoop()) as loop:
        return woken, loop.play(scenario())


def test_it_is_read_once_and_the_task_is_looked_at() -> None:
    assert ask([ExecutionStatus.FAILED], 1) == (["task"], ExecutionStatus.FAILED)


def test_without_postgresql_it_is_asked_for_again() -> None:
    assert ask([unavailable("away"), unavailable("away"), ExecutionStatus.SUCCESS], 60)[1] is ExecutionStatus.SUCCESS


def test_a_row_that_is_not_closed_yet_is_read_again() -> None:
    assert ask([ExecutionStatus.RUNNING, ExecutionStatus.CANCELLED], 90) == (["task"], ExecutionStatus.CANCELLED)


def test_what_the_history_does_not_have_is_not_asked_for_for_ever() -> None:
    assert ask([None], 1) == (["task"], None)
