"""A status is written onto the object and the status that were seen, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeConflict, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import SCHEDULED_TASKS
from cronwright_core.kube.status import replace_status
from support.builders import CREATED
from support.launch_model.api_server import ApiServer

NEVER_WRITTEN = {"lastScheduleTime": None, "claimedTime": None}


class Client:
    """One task on a server in memory."""

    def __init__(self) -> None:
        self.server = ApiServer(lambda: CREATED)
        body = {"metadata": {"name": "t"}, "spec": {"schedule": "* * * * *"}}
        self.uid = self.server.create(SCHEDULED_TASKS, "ns", body, by="user")["metadata"]["uid"]

    async def get(self, *where: Any) -> Json:
        return self.server.get(*where)

    async def patch(self, *where: Any, **how: Any) -> Json:
        return self.server.patch(*where, by="operator", **how)

    async def write(self, status: Json, decided_on: Json, uid: str | None = None) -> Json:
        client: Any = self
        return await replace_status(client, SCHEDULED_TASKS, "ns", "t", uid or self.uid, status, decided_on=decided_on)

    @property
    def status(self) -> Any:
        return self.server.get(SCHEDULED_TASKS, "ns", "t").get("status")


def play(scene: Callable[[Client], Awaitable[None]]) -> None:
    async def begin() -> None:
        await scene(Client())

    asyncio.run(begin())


def test_who_was_overtaken_is_refused_and_puts_nothing_back() -> None:
    async def scene(client: Client) -> None:
        await client.write({"lastScheduleTime": "T1"}, NEVER_WRITTEN)
        seen = {"lastScheduleTime": "T1", "claimedTime": None}
        await client.write({"lastScheduleTime": "T2", "claimedTime": "T3"}, seen)
        with pytest.raises(KubeConflict):
            await client.write({"lastScheduleTime": "T1", "active": []}, seen)
        assert client.status == {"lastScheduleTime": "T2", "claimedTime": "T3"}

    play(scene)


def test_of_two_that_see_a_new_task_one_writes() -> None:
    async def scene(client: Client) -> None:
        await client.write({"lastScheduleTime": "T1"}, NEVER_WRITTEN)
        with pytest.raises(KubeConflict):
            await client.write({"claimedTime": "T0"}, NEVER_WRITTEN)
        assert client.status == {"lastScheduleTime": "T1"}

    play(scene)


def test_a_status_that_others_have_begun_is_taken_over() -> None:
    async def scene(client: Client) -> None:
        client.server.patch(SCHEDULED_TASKS, "ns", "t", {"status": {}}, by="somebody", subresource="status")
        await client.write({"lastScheduleTime": "T1"}, NEVER_WRITTEN)
        assert client.status == {"lastScheduleTime": "T1"}

    play(scene)


def test_what_others_write_on_the_task_refuses_nothing() -> None:
    async def scene(client: Client) -> None:
        edit = {"metadata": {"annotations": {"trigger": "now"}}, "spec": {"suspend": True}}
        client.server.patch(SCHEDULED_TASKS, "ns", "t", edit, by="user")
        await client.write({"lastScheduleTime": "T1"}, NEVER_WRITTEN)
        assert client.status == {"lastScheduleTime": "T1"}

    play(scene)


def test_another_object_of_the_name_is_not_written() -> None:
    async def scene(client: Client) -> None:
        with pytest.raises(KubeNotFound):
            await client.write({"lastScheduleTime": "T1"}, NEVER_WRITTEN, uid="of one that is gone")
        assert client.status is None

    play(scene)


def test_a_status_that_the_schema_refuses_is_no_conflict() -> None:
    async def scene(client: Client) -> None:
        async def refuse(*_: Any, **__: Any) -> Json:
            raise KubeInvalid(422, "Invalid", "must be a string")

        client.patch = refuse  # type: ignore[method-assign]
        with pytest.raises(KubeInvalid):
            await client.write({"lastScheduleTime": 7}, NEVER_WRITTEN)

    play(scene)
