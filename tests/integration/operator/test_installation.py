"""Two installations on one database: the one that came later ends nothing of the other's, while that one lives."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.heartbeat import HeartbeatStore
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.session import Database
from cronwright_core.store.tasks import TaskStore
from cronwright_operator.upkeep.installation import SILENCE, Installation
from cronwright_operator.upkeep.orphans import Orphans
from support.fake_objects import FakeObjects
from support.store_rows import add_task, make_execution

BEGIN = datetime.now(UTC).replace(microsecond=0)


class Clock:
    """One for both clusters."""

    now = BEGIN

    def __call__(self) -> datetime:
        return self.now


class Cluster:
    """A cluster without any Job, and the upkeep of an installation in it."""

    def __init__(self, database: Database, lease: str, clock: Clock) -> None:
        self.installation = Installation(
            HeartbeatStore(database),
            identity=lambda: lease,
            holder=f"operator of {lease}",
            version="1",
            tz_release="2026f",
            details=dict,
            now=clock,
        )
        orphans = Orphans(
            FakeObjects(BEGIN, namespaces=["team"]),
            cast(Any, SimpleNamespace(tasks=list, projects=list)),
            cast(Any, []),
            ExecutionStore(database),
            LogStore(database),
            TaskStore(database),
            ProjectStore(database),
            (None,),
            now=clock,
        )
        self._sweep = self.installation.when_ours(orphans.sweep)

    def lives(self) -> bool:
        return asyncio.run(self.installation.beat())

    def sweep(self) -> None:
        asyncio.run(self._sweep())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def status_of_a_run(database: Database, execution_id: str) -> ExecutionStatus:
    return ExecutionStore(database).get(execution_id, owner=None).status


def test_a_second_installation_ends_nothing_before_the_first_has_been_silent(database: Database, clock: Clock) -> None:
    """The first one's Job is in its own cluster; the second one's API server has never heard of it."""
    run = make_execution(
        add_task(database), BEGIN - timedelta(hours=1), ExecutionStatus.RUNNING, job_uid="uid", seconds=0
    )
    ExecutionStore(database).record([run])
    first, second = Cluster(database, "lease-1", clock), Cluster(database, "lease-2", clock)
    assert first.lives()
    for _ in range(20):
        clock.now += timedelta(minutes=1)
        second.sweep()
        assert second.installation.shares_database
        assert first.lives()
    assert not first.installation.shares_database
    assert status_of_a_run(database, run.execution_id) is ExecutionStatus.RUNNING
    # The first one is shut down: a move. What it had is lost indeed.
    clock.now += SILENCE
    second.sweep()
    assert status_of_a_run(database, run.execution_id) is ExecutionStatus.RUNNING
    clock.now += timedelta(seconds=1)
    second.sweep()
    assert status_of_a_run(database, run.execution_id) is ExecutionStatus.FAILED
    assert not second.installation.shares_database
    # And should it come back, it is the one to wait.
    assert not first.lives()


def test_the_same_installation_goes_on_at_once(database: Database, clock: Clock) -> None:
    """A restart, an upgrade, a restored dump, an installation after an uninstall: the Lease is the same."""
    assert Cluster(database, "lease-1", clock).lives()
    assert Cluster(database, "lease-1", clock).lives()
