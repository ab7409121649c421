"""The API with PostgreSQL in place of the fake stores and, if asked, a real API server in place of the fake one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cronwright_api.deps import Backends
from cronwright_api.live.streams import LiveLogs
from cronwright_api.live.wakeups import Wakeups
from cronwright_core.kube.client import KubeClient
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.log_following import LogReader
from cronwright_core.store.logs import LogStore
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.session import Database
from cronwright_core.store.system import SystemStore
from cronwright_core.store.tasks import TaskStore
from cronwright_core.store.workspaces import WorkspaceStore
from support.api import World


class RealWorld(World):
    """As `World`, with PostgreSQL in place of the fake stores."""

    database: Database

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backends]:
        yield Backends(
            verifier=self.verifier,
            database=self.database,
            tasks=TaskStore(self.database),
            projects=ProjectStore(self.database),
            executions=ExecutionStore(self.database),
            logs=LogStore(self.database),
            live=LiveLogs(LogReader(self.database), Wakeups()),
            system=SystemStore(self.database),
            workspaces=WorkspaceStore(self.database),
            objects=self.objects,
            clock=lambda: self.now,
        )


class ClusterWorld(RealWorld):
    """As `RealWorld`, with the API server that KUBECONFIG names; its objects live in `namespace`."""

    namespace: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backends]:
        client = await KubeClient.connect(user_agent="cronwright-tests")
        try:
            async with super().open() as backends:
                yield replace(backends, objects=client, namespace=self.namespace, clock=lambda: datetime.now(UTC))
        finally:
            await client.close()


def make_world(keys: Path, database: Database) -> RealWorld:
    keys.mkdir()
    world = RealWorld(keys, now=datetime.now(UTC))
    world.database = database
    return world
