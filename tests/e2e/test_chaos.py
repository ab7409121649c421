"""Parts of the installation are ended while hundreds of executions run; then records and cluster are compared.

CRONWRIGHT_CHAOS=full (`make chaos`): 500 executions with 20 deaths of the operator, and 300 with one of each part.
Otherwise both in one, as `make test` and CI have minutes only: 100 executions, 5 deaths of the operator, each other
part once.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from support.chaos.kills import Kill, Kills
from support.chaos.load import Load, compare, wait_recorded
from support.cluster import Cluster, PatientRest, Rest, Space, eventually

Choose = Callable[[Kills], list[tuple[float, Kill]]]


@dataclass(frozen=True)
class Plan:
    """How many executions, and the blows, each after a pause in seconds."""

    title: str
    executions: int
    choose: Choose


def at_random_moments(deaths: int, longest: float, *, all_parts: bool) -> Choose:
    """The operator dies so many times, and the others in between."""

    def choose(kills: Kills) -> list[tuple[float, Kill]]:
        others = [kills.postgresql, kills.api_server, *([kills.api, kills.kubelet] if all_parts else [])]
        blows: list[Kill] = [kills.operator] * deaths
        for number, other in enumerate(others, 1):
            blows.insert(number * len(blows) // (len(others) + 1), other)
        moments = random.Random(int(time.time()))
        return [(moments.uniform(2.0, longest), blow) for blow in blows]

    return choose


def one_after_the_other(kills: Kills) -> list[tuple[float, Kill]]:
    parts: list[Kill] = [kills.operator, kills.api, kills.postgresql, kills.api_server, kills.kubelet]
    return [(20.0, part) for part in parts]


PLANS = (
    [
        Plan("operator killed at random moments", 500, at_random_moments(20, 9.0, all_parts=False)),
        Plan("each part ended", 300, one_after_the_other),
    ]
    if os.environ.get("CRONWRIGHT_CHAOS") == "full"
    else [Plan("parts killed at random moments", 100, at_random_moments(5, 5.0, all_parts=True))]
)


@pytest.fixture
def alice(cluster: Cluster) -> Rest:
    rest = cluster.rest("alice")
    return PatientRest(rest.url, rest.token)


@pytest.fixture
def kills() -> Kills:
    return Kills.of_this_cluster()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.title)
def test_whatever_ends_nothing_is_lost_and_nothing_repeated(
    plan: Plan, space: Space, alice: Rest, kills: Kills, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    load, blows = Load(space, alice, plan.executions), plan.choose(kills)
    load.begin()
    for pause, blow in blows:
        end = time.monotonic() + pause
        eventually(lambda end=end: load.look() or time.monotonic() > end, seconds=pause + 120, what="the next blow")
        blow()
    wait_recorded(load, 600)
    found = compare(load)
    with capsys.disabled():
        ended = ", ".join(f"{name} {count}" for name, count in kills.counts.items())
        print(
            f"\n{plan.title}: {found.executions} executions and {found.ticks} ticks, killed: {ended};"
            f" {found.lines} lines compared; at most {load.most_running} at a time;"
            f" {len(found.wrong)} wrong; {time.monotonic() - started:.0f} s"
        )
    assert found.wrong == [], "\n".join(["", *found.wrong[:40]])
    assert sum(kills.counts.values()) >= len(blows) - (0 if kills.local else 2)


@pytest.fixture(autouse=True)
def _healthy_afterwards(cluster: Cluster) -> Iterator[None]:
    """Leaves a cluster behind in which the next test finds everything running."""
    yield
    alice = cluster.rest("alice")
    eventually(lambda: alice.call("GET", "/tasks?size=1").status_code == 200, seconds=120, what="the API to be back")
