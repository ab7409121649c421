"""The live copy: every change once, deletions across a gap seen, no ghost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeGone, KubeUnreachable
from cronwright_core.kube.ports import Json, Listing, WatchEvent
from cronwright_core.kube.reflector import Listener, Reflector, newest
from cronwright_core.kube.resources import JOBS, Resource
from support.launch_model.virtual_loop import VirtualLoop


def body(uid: str, version: int) -> Json:
    return {"metadata": {"uid": uid, "namespace": "ns", "resourceVersion": str(version), "managedFields": [1]}}


def noting(changes: list[Any]) -> Listener:
    """Notes each change as its two sides, `uid` and `resourceVersion` of each."""

    def listener(old: Json | None, new: Json | None) -> None:
        changes.append(tuple(b and f"{b['metadata']['uid']}{b['metadata']['resourceVersion']}" for b in (old, new)))

    return listener


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
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        self.versions.append(resource_version)
        for event in self.watches.pop(0) if self.watches else []:
            if isinstance(event, Exception):
                raise event
            yield [event]
        if not self.watches:
            await asyncio.Event().wait()


def run(script: Script, until: Callable[[list[tuple[str | None, str | None]], Reflector], bool]) -> list[Any]:
    async def scenario() -> list[Any]:
        changes: list[tuple[str | None, str | None]] = []

        reflector = Reflector(script, JOBS, namespaces=(None,), label_selector="", listener=noting(changes))
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


class SlowList(Script):
    """The second list is a snapshot of the moment at which it begins, and is under way until `arrive` is set."""

    begun: asyncio.Event
    arrive: asyncio.Event

    async def list(self, resource: Resource, namespace: str | None, **_: Any) -> Listing:
        snapshot = await super().list(resource, namespace)
        if not self.lists:
            self.begun.set()
            await self.arrive.wait()
        return snapshot


def while_listing(answers: list[Json], watched: list[WatchEvent | Exception]) -> tuple[list[Any], Reflector]:
    """What is told from the second list on, if `answers` to writes come while it is under way."""

    async def scenario() -> tuple[list[Any], Reflector]:
        changes: list[Any] = []

        script = SlowList([Listing([], "5"), Listing([], "100")], [[KubeGone(410, "Expired", "old")], watched])
        script.begun, script.arrive = asyncio.Event(), asyncio.Event()
        reflector = Reflector(script, JOBS, namespaces=(None,), label_selector="", listener=noting(changes))
        task = asyncio.create_task(reflector.run())
        await script.begun.wait()
        for answer in answers:
            reflector.remember(answer)
        script.arrive.set()
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return changes, reflector

    with closing(VirtualLoop()) as loop:
        return loop.play(scenario())


def test_what_was_made_while_a_list_was_under_way_is_not_taken_for_deleted() -> None:
    changes, reflector = while_listing([body("a", 105)], [WatchEvent("ADDED", body("a", 105))])
    assert changes == [(None, "a105")]
    reflector.remember(body("a", 110))
    assert changes[1:] == [("a105", "a110")], "what we write on it is seen at once, as ever"


def test_its_end_comes_by_the_watch() -> None:
    changes, _ = while_listing([body("a", 105)], [WatchEvent("DELETED", body("a", 107))])
    assert changes == [(None, "a105"), ("a105", None)]


def test_an_answer_from_before_the_list_brings_no_ghost() -> None:
    # Made (90) and deleted (95) before the snapshot (100); the answer was long under way.
    assert while_listing([body("a", 90)], [])[0] == [(None, "a90"), ("a90", None)]


def test_what_comes_back_under_its_uid_is_taken_from_own_writes_again() -> None:
    # Somebody took the label off by which it is watched, and put it back.
    script = Script(
        [Listing([body("a", 1)], "5")], [[WatchEvent("DELETED", body("a", 6)), WatchEvent("ADDED", body("a", 7))]]
    )

    def until(changes: list[tuple[str | None, str | None]], reflector: Reflector) -> bool:
        if len(changes) == 3:
            reflector.remember(body("a", 8))
        return len(changes) == 4

    assert run(script, until)[-1] == ("a7", "a8")


def test_a_watch_that_is_refused_again_and_again_is_asked_for_ever_less(caplog: pytest.LogCaptureFixture) -> None:
    refused = KubeUnreachable("refused")
    watches: list[list[WatchEvent | Exception]] = [[refused] for _ in range(6)]
    watches += [[WatchEvent("ADDED", body("a", 6)), refused], []]
    script = Script([Listing([], "5")], watches)

    async def scenario() -> None:
        reflector = Reflector(script, JOBS, namespaces=(None,), label_selector="", listener=lambda *_: None)
        task = asyncio.create_task(reflector.run())
        await asyncio.sleep(60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with closing(VirtualLoop()) as loop:
        loop.play(scenario())
    delays = [record.getMessage().rpartition(" in ")[2] for record in caplog.records]
    assert delays == ["0.2 s", "0.5 s", "1.0 s", "2.0 s", "5.0 s", "5.0 s", "0.2 s"], "what it brings ends the row"


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


ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"


@pytest.mark.parametrize(
    ("come", "left"),
    [
        ([(ADDED, "a", 1)], [0]),
        ([(ADDED, "a", 1), (MODIFIED, "a", 2), (MODIFIED, "a", 3)], [2]),
        ([(ADDED, "a", 1), (MODIFIED, "b", 2), (MODIFIED, "a", 3), (MODIFIED, "c", 4)], [1, 2, 3]),
        ([(MODIFIED, "a", 1), (MODIFIED, "a", 2), (DELETED, "a", 3)], [1, 2]),
        ([(MODIFIED, "a", 1), (DELETED, "a", 2), (ADDED, "a", 3), (MODIFIED, "a", 4)], [0, 1, 3]),
        ([(MODIFIED, "a", 1), (DELETED, "b", 2), (MODIFIED, "a", 3)], [1, 2]),
        ([(MODIFIED, "a", 1), (BOOKMARK, "", 9)], [0, 1]),
        ([(BOOKMARK, "", 8), (BOOKMARK, "", 9)], [0, 1]),
    ],
)
def test_of_events_that_come_together_the_newest_counts(come: list[tuple[str, str, int]], left: list[int]) -> None:
    events = [WatchEvent(kind, body(uid, version)) for kind, uid, version in come]
    for event in events:
        if event.type == BOOKMARK:
            del event.object["metadata"]["uid"]  # it has none
    assert list(newest(events)) == [events[place] for place in left]


class Crowd(Script):
    """A server whose events gather while nobody reads."""

    def __init__(self) -> None:
        super().__init__([Listing([], "5")], [])
        self.come: list[WatchEvent] = []
        self.reads = 0

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str, **_: Any
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        while True:
            while not self.come:
                await asyncio.sleep(0.001)
            come, self.come = self.come, []
            self.reads += 1
            yield come


def test_while_it_pauses_events_gather_and_none_is_lost() -> None:
    changes: list[tuple[str | None, str | None]] = []

    async def scenario() -> int:
        server = Crowd()
        reflector = Reflector(
            server,
            JOBS,
            namespaces=(None,),
            label_selector="",
            listener=noting(changes),
            pause=lambda: asyncio.sleep(0.25),
        )
        task = asyncio.create_task(reflector.run())
        for version in range(6, 106):
            server.come.append(WatchEvent(MODIFIED, body("ab"[version % 2], version)))
            await asyncio.sleep(0.01)
        server.come.append(WatchEvent(DELETED, body("a", 106)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return server.reads

    with closing(VirtualLoop()) as loop:
        assert loop.play(scenario()) <= 6
    assert changes[-1] == ("a104", None)
    assert "b105" in {new for _, new in changes}
    assert len(changes) <= 12
    assert all(old is not None for old, _ in changes[2:]), "each is told with what was told before"
