"""The live copy: every change once, deletions across a gap seen, no ghost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from cronwright_core.kube.errors import KubeGone, KubeUnreachable
from cronwright_core.kube.ports import Json, Listing, WatchEvent
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import JOBS, Resource


def body(uid: str, version: int) -> Json:
    return {"metadata": {"uid": uid, "namespace": "ns", "resourceVersion": str(version), "managedFields": [1]}}


class Script:
    """A server that answers lists and watches in the order given; a watch is events, then an error or silence."""

    def __init__(self, lists: list[Listing], watches: list[list[WatchEvent | Exception]]) -> None:
        self.lists = lists
        self.watches = watches
        self.versions: list[str] = []

    async def list(self, resource: Resource, namespace: str | None, **_: Any) -> Listing:
        return self.lists.pop(0)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str, **_: Any
    ) -> AsyncIterator[WatchEvent]:
        self.versions.append(resource_version)
        for event in self.watches.pop(0) if self.watches else []:
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.watches:
            await asyncio.Event().wait()


def run(script: Script, until: Callable[[list[tuple[str | None, str | None]], Reflector], bool]) -> list[Any]:
    async def scenario() -> list[Any]:
        changes: list[tuple[str | None, str | None]] = []

        def listener(old: Json | None, new: Json | None) -> None:
            changes.append(tuple(b and f"{b['metadata']['uid']}{b['metadata']['resourceVersion']}" for b in (old, new)))  # type: ignore[arg-type]

        reflector = Reflector(script, JOBS, namespaces=(None,), label_selector="", listener=listener)
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(5):
            while not until(changes, reflector):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return changes

    return asyncio.run(scenario())


def test_list_then_watch() -> None:
    script = Script(
        [Listing([body("a", 1)], "5")], [[WatchEvent("MODIFIED", body("a", 6)), WatchEvent("DELETED", body("a", 7))]]
    )
    assert run(script, lambda c, _: len(c) == 3) == [(None, "a1"), ("a1", "a6"), ("a6", None)]
    assert script.versions[0] == "5"


def test_a_deletion_during_a_gap_is_seen() -> None:
    script = Script(
        [Listing([body("a", 1), body("b", 2)], "5"), Listing([body("b", 2)], "9")],
        [[KubeGone(410, "Expired", "old")], []],
    )
    assert run(script, lambda c, _: len(c) == 3)[-1] == ("a1", None)
    assert script.versions == ["5", "9"]


def test_after_a_broken_watch_it_goes_on_from_where_it_was() -> None:
    script = Script([Listing([], "5")], [[WatchEvent("ADDED", body("a", 6)), KubeUnreachable("broke")], []])
    run(script, lambda _, __: len(script.versions) == 2)
    assert script.versions == ["5", "6"]


def test_an_own_write_is_seen_at_once_and_a_late_answer_brings_no_ghost() -> None:
    script = Script([Listing([], "5")], [[WatchEvent("ADDED", body("a", 6)), WatchEvent("DELETED", body("a", 8))]])
    seen: list[int] = []

    def until(changes: list[tuple[str | None, str | None]], reflector: Reflector) -> bool:
        if len(changes) == 2 and not seen:
            reflector.remember(body("a", 7))
            reflector.remember(body("b", 9))
            seen.append(1)
        return bool(seen)

    assert run(script, until) == [(None, "a6"), ("a6", None), (None, "b9")]


def test_a_listener_that_fails_on_one_object_does_not_end_the_watch() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        def listener(old: Json | None, new: Json | None) -> None:
            uid = (new or old or {})["metadata"]["uid"]
            if uid == "odd":
                raise OverflowError("an odd object")
            seen.append(uid)

        script = Script([Listing([body("odd", 1), body("a", 2)], "5")], [[WatchEvent("ADDED", body("b", 6))]])
        reflector = Reflector(script, JOBS, namespaces=(None,), label_selector="", listener=listener)
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(5):
            while len(seen) < 2:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    assert asyncio.run(scenario()) == ["a", "b"]
