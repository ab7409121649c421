"""The API with fakes behind it, and a client that carries a token.

httpx's own ASGI transport in a portal's thread, not Starlette's TestClient: that one warns that it wants another httpx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from cronwright_api.app import OpenBackends, create_app
from cronwright_api.deps import Backends
from cronwright_api.key_files import load_secrets
from cronwright_api.live.streams import LiveLogs
from cronwright_api.live.wakeups import Wakeups
from cronwright_api.settings import BASE_PATH, ApiSettings
from cronwright_api.tokens import TokenVerifier, User, make_token
from support.fake_objects import FakeObjects
from support.fake_stores import (
    FakeExecutions,
    FakeLogReader,
    FakeLogs,
    FakeProjects,
    FakeSystem,
    FakeTasks,
    FakeWorkspaces,
    Switch,
)

NOW = datetime(2026, 3, 4, 12, 30, 15, 250_000, tzinfo=UTC)
SECRET = "a secret of the test, long enough for HS256"


def make_settings(**values: Any) -> ApiSettings:
    """Settings that need no environment."""
    return ApiSettings.model_validate({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", **values})


class Client:
    """Sends requests to an application in memory, from ordinary tests."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self.app = app
        self._portal = portal

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """One request; a failure inside the application is its own to answer."""
        return self._portal.call(partial(self._send, method, url, **kwargs))

    async def _send(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, url, **kwargs)


@contextmanager
def running(app: FastAPI) -> Iterator[Client]:
    """Runs the application's lifespan around the block."""
    with start_blocking_portal() as portal, _alive(app, portal) as client:
        yield client


@contextmanager
def _alive(app: FastAPI, portal: BlockingPortal) -> Iterator[Client]:
    with portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Client(app, portal)


class Host:
    """One application and one event loop for many worlds, one after another.

    Building the routes costs far more than a test does. What a world owns is opened and closed by the lifespan, which
    runs anew for each, so nothing of one world is seen by the next.
    """

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal
        self._open: OpenBackends | None = None
        self._app = create_app(make_settings(), self._opened)

    def _opened(self) -> AbstractAsyncContextManager[Backends]:
        assert self._open is not None, "the application was started outside of running()"
        return self._open()

    @contextmanager
    def running(self, open_backends: OpenBackends) -> Iterator[Client]:
        """Runs the lifespan with these backends around the block."""
        self._open = open_backends
        try:
            with _alive(self._app, self._portal) as client:
                yield client
        finally:
            self._open = None
            del self._app.state.backends


@contextmanager
def started_host() -> Iterator[Host]:
    """A host, until the block ends."""
    with start_blocking_portal() as portal:
        yield Host(portal)


@dataclass
class World:
    """All fakes of a test, and the application on top of them."""

    keys_dir: Path
    now: datetime = NOW
    switch: Switch = field(default_factory=Switch)
    client: Client = field(init=False)
    live: LiveLogs = field(init=False)

    def __post_init__(self) -> None:
        (self.keys_dir / "k1").write_text(SECRET)
        self.secrets = load_secrets(self.keys_dir)
        self.verifier = TokenVerifier((self.secrets,))
        self.objects = FakeObjects(self.now)
        self.tasks = FakeTasks(self.switch)
        self.projects = FakeProjects(self.switch)
        self.executions = FakeExecutions(self.switch)
        self.logs = FakeLogs(self.executions)
        self.log_reader = FakeLogReader(self.switch)
        self.system = FakeSystem(self.switch)
        self.workspaces = FakeWorkspaces(self.switch)

    @contextmanager
    def started(self, host: Host) -> Iterator[World]:
        """Runs the application."""
        with host.running(self._open) as self.client:
            yield self

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Backends]:
        self.live = LiveLogs(self.log_reader, Wakeups())
        yield Backends(
            verifier=self.verifier,
            database=self.switch,
            tasks=self.tasks,
            projects=self.projects,
            executions=self.executions,
            logs=self.logs,
            live=self.live,
            system=self.system,
            workspaces=self.workspaces,
            objects=self.objects,
            clock=lambda: self.now,
        )

    def token(self, user: str = "alice", *, admin: bool = False) -> str:
        """A token that is good now."""
        (key,) = self.secrets.current()
        return make_token(key, User(user, admin), now=datetime.now(UTC), ttl=timedelta(minutes=5))

    def call(self, method: str, path: str, *, user: str = "alice", admin: bool = False, **kwargs: Any) -> Any:
        """A request below the base path (or anywhere, for a path that begins with `//`), with a token."""
        headers = {"Authorization": f"Bearer {self.token(user, admin=admin)}", **kwargs.pop("headers", {})}
        url = path[1:] if path.startswith("//") else BASE_PATH + path
        return self.client.request(method, url, headers=headers, **kwargs)

    def make_project(self, **fields: Any) -> int:
        """A project by the API itself; returns its id."""
        body = {"name": f"project {len(self.projects.rows)}", "image": "busybox", "members": ["alice"], **fields}
        response = self.call("POST", "/projects", user="root", admin=True, json=body)
        assert response.status_code == 200, response.text
        return int(response.json()["data"]["id"])

    def make_task(self, *, user: str = "alice", **fields: Any) -> dict[str, Any]:
        """A task by the API itself, in a project of its own; returns the answer's data."""
        body = {"name": "数据同步任务", "schedule_type": "CRON", "schedule_config": "0 */2 * * *", **fields}
        body.setdefault("project_id", self.make_project(members=[user]) if "project_id" not in fields else None)
        response = self.call("POST", "/tasks", user=user, json=body)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data
