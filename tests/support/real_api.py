"""A `RealWorld` behind a real socket, and the check that nothing in it is half made."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import uvicorn

from cronwright_api.app import create_app
from cronwright_core.kube.resources import PROJECTS, SCHEDULED_TASKS
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.tasks import TaskStore
from support.api import make_settings
from support.real_world import RealWorld


@contextmanager
def serving(world: RealWorld) -> Iterator[str]:
    """Serves the world's application by uvicorn, as the product does; yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets it only on sockets that were made with IPPROTO_TCP, as uvicorn's own are: each answer would take the
    # 40 ms that a kernel may put off an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        create_app(make_settings(), world.open), log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()
    assert not thread.is_alive(), "the server did not end"


def assert_whole(world: RealWorld) -> None:
    """There is no half a task: each resource has its row, each row its resource, and no reservation is left."""
    uids: dict[str, set[str]] = {SCHEDULED_TASKS.plural: set(), PROJECTS.plural: set()}
    for (plural, _, _), body in world.objects.objects.items():
        uids[plural].add(body["metadata"]["uid"])
    tasks, projects = TaskStore(world.database), ProjectStore(world.database)
    assert {row.cr_uid for row in tasks.live()} == uids[SCHEDULED_TASKS.plural]
    assert {row.cr_uid for row in projects.live()} == uids[PROJECTS.plural]
    later = datetime.now(UTC) + timedelta(days=1)
    assert tasks.stale_pending(later) == []
    assert projects.stale_pending(later) == []
