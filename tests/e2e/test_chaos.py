"""Parts of the installation are ended while hundreds of executions run; then records and cluster are compared.

CRONWRIGHT_CHAOS=full (`make chaos`) runs 500 and 300 executions, otherwise 100 and 60.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from support.chaos.kills import Kill, Kills
from support.chaos.load import Load, compare, wait_recorded
from support.cluster import Cluster, PatientRest, Rest, Space, eventually

FULL = os.environ.get("CRONWRIGHT_CHAOS") == "full"


@pytest.fixture
def alice(cluster: Cluster) -> Rest:
    rest = cluster.rest("alice")
    return PatientRest(rest.url, rest.token)


@pytest.fixture
def kills() -> Kills:
    return Kills.of_this_cluster()


def test_an_operator_killed_at_random_moments_loses_and_repeats_nothing(
    space: Space, alice: Rest, kills: Kills, capsys: pytest.CaptureFixture[str]
) -> None:
    count, deaths = (500, 20) if FULL else (100, 5)
    moments = random.Random(int(time.time()))
    blows: list[Kill] = [kills.operator] * deaths
    blows.insert(deaths // 3, kills.postgresql)
    blows.insert(2 * deaths // 3, kills.api_server)
    longest = 9.0 if FULL else 7.0
    at_random = [(moments.uniform(2.0, longest), blow) for blow in blows]
    run(
        Load(space, PatientRest(alice.url, alice.token), count),
        kills,
        at_random,
        capsys,
        "operator killed at random moments",
    )


def test_one_part_after_the_other_is_ended(
    space: Space, alice: Rest, kills: Kills, capsys: pytest.CaptureFixture[str]
) -> None:
    blows: list[Kill] = [kills.operator, kills.api, kills.postgresql, kills.api_server, kills.kubelet]
    pause = 20.0 if FULL else 5.0
    run(
        Load(space, PatientRest(alice.url, alice.token), 300 if FULL else 60),
        kills,
        [(pause, blow) for blow in blows],
        capsys,
        "each part ended",
    )


def run(
    load: Load, kills: Kills, blows: list[tuple[float, Kill]], capsys: pytest.CaptureFixture[str], title: str
) -> None:
    """Begins the load, deals the blows, waits, compares, and prints what it found."""
    started = time.monotonic()
    load.begin()
    for pause, blow in blows:
        end = time.monotonic() + pause
        eventually(lambda end=end: load.look() or time.monotonic() > end, seconds=pause + 120, what="the next blow")
        blow()
    wait_recorded(load, 600 if FULL else 300)
    found = compare(load)
    with capsys.disabled():
        ended = ", ".join(f"{name} {count}" for name, count in kills.counts.items())
        print(
            f"\n{title}: {found.executions} executions and {found.ticks} ticks, killed: {ended};"
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
