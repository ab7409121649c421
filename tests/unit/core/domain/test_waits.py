"""What a run waits for, in words."""

from __future__ import annotations

import pytest

from cronwright_core.domain.cluster import StopIntent, StopReason
from cronwright_core.domain.execution import execution_state
from cronwright_core.domain.gate import Block, Candidate, Limits
from cronwright_core.domain.waits import IN_LINE, Wait, wait_for_block, wait_for_kueue, with_wait
from support.builders import at, make_job, make_pod

RUN = Candidate("team-a/job", "t", "team-a/p", 0, at("10:00:00"))
LIMITS = Limits(tasks={"t": 1}, projects={"team-a/p": 3}, total=500, unrecorded=2000)
WAITS = Wait("ProjectLimit", "waits for the project")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            Block.TASK,
            "waits for another execution of its task to end: no more than 1 may run at a time (maxInstances)",
        ),
        (
            Block.PROJECT,
            "waits for an execution of its project to end: no more than 3 may run at a time (maxConcurrentExecutions)",
        ),
        (
            Block.TOTAL,
            "waits for any execution to end: no more than 500 may run at a time in the whole installation",
        ),
        (
            Block.UNRECORDED,
            "waits until ended executions are recorded: 2000 or more are not yet (maxUnrecorded)",
        ),
    ],
)
def test_each_block_in_a_sentence(block: Block, message: str) -> None:
    assert wait_for_block(block, RUN, LIMITS) == Wait(block.value, message)
    # The limit was lifted, and the gate has not looked since.
    assert wait_for_block(block, RUN, Limits()) == IN_LINE


def test_nothing_known_is_its_turn() -> None:
    assert wait_for_block(None, RUN, LIMITS) == IN_LINE


def test_the_state_of_what_waits_says_it() -> None:
    state = with_wait(execution_state(make_job(suspended=True), ()), WAITS)
    assert (state.status.value, state.reason, state.message) == ("PENDING", WAITS.reason, WAITS.message)
    assert with_wait(execution_state(make_job(suspended=True), ()), None).reason == "Queued"


def test_what_does_not_wait_for_its_turn_keeps_its_own_reason() -> None:
    stop = StopIntent(StopReason.CANCELLED, "alice", at("10:00:00"), "cancelled by alice")
    states = (
        execution_state(make_job(suspended=True, stop=stop), ()),
        execution_state(make_job(), (make_pod(waiting_reason="ImagePullBackOff"),)),
        execution_state(make_job(start_time=at("10:00:00")), (make_pod(phase="Running", start_time=at("10:00:00")),)),
    )
    assert [with_wait(state, WAITS) for state in states] == list(states)


def test_kueue_is_named_with_its_queue() -> None:
    assert wait_for_kueue("team-a").message == "waits for Kueue to admit it (queue team-a)"
