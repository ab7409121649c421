"""One Pod's output into the store: apart or merged, with gaps marked, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from cronwright_core.domain.errors import Message
from cronwright_core.kube.errors import KubeForbidden, KubeInvalid, KubeNotFound, KubeUnreachable
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.records import LogAppend, LogCursor
from cronwright_operator.recording.pod_log import GAP_LINE, PATIENCE, PodLog, StreamSupport
from support.builders import CREATED

ONE = b"2026-03-02T10:00:01.000000001Z one\n"
TWO = b"2026-03-02T10:00:02.000000001Z two\n"


class Kubelet:
    """Answers log reads: bytes by stream (None: merged), or an error."""

    def __init__(self, **streams: bytes | Exception) -> None:
        self.streams = streams
        self.asked: list[tuple[str | None, str | None]] = []

    async def read_log(
        self, namespace: str, pod: str, *, stream: str | None, since_time: str | None, **_: Any
    ) -> AsyncIterator[bytes]:
        self.asked.append((stream, since_time))
        answer = self.streams.get((stream or "all").lower(), b"")
        if isinstance(answer, Exception):
            raise answer
        yield answer


class Store:
    """The store's promises, in memory: appends are guarded by the stored position."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.rows: dict[str, LogCursor] = {}
        self.finished: dict[str, str | None] = {}

    def cursors(self, execution_id: str) -> list[LogCursor]:
        return list(self.rows.values())

    def append(self, batch: Sequence[LogAppend]) -> None:
        for new in batch:
            row = self.rows.get(new.stream)
            if (row.lines if row else 0) != new.from_line:
                raise CursorMoved(Message("移动", "moved"))
            self.data[new.stream] = self.data.get(new.stream, b"") + new.lines
            self.rows[new.stream] = LogCursor(
                attempt=new.attempt,
                stream=new.stream,
                lines=new.from_line + new.line_count,
                bytes=len(self.data[new.stream]),
                last_stamp=new.last_stamp,
                last_stamp_count=new.last_stamp_count,
                last_line_time=None,
                partial_line=False,
                complete=False,
                incomplete_reason=None,
            )

    def finish(self, _: str, __: int, stream: str, *, complete: bool, incomplete_reason: str | None) -> None:
        assert complete is (incomplete_reason is None)
        self.finished[stream] = incomplete_reason


class Clock:
    def __init__(self) -> None:
        self.time = CREATED

    def __call__(self) -> datetime:
        return self.time


def make_log(
    kubelet: Kubelet, store: Store, clock: Clock | None = None, support: StreamSupport | None = None
) -> PodLog:
    return PodLog(
        kubelet,
        store,  # type: ignore[arg-type]
        support or StreamSupport(),
        namespace="ns",
        pod="pod",
        container="task",
        execution_id="exec-1",
        execution_time=CREATED,
        attempt=1,
        now=clock or Clock(),
    )


def poll(log: PodLog, *, final: bool = False) -> bool:
    return asyncio.run(log.poll(final=final))


def test_apart_where_the_cluster_offers_it() -> None:
    kubelet, store = Kubelet(stdout=ONE, stderr=TWO), Store()
    assert poll(make_log(kubelet, store), final=True)
    assert store.data == {"stdout": b"one\n", "stderr": b"two\n"}
    assert store.finished == {"stdout": None, "stderr": None}


@pytest.mark.parametrize(
    "error",
    [
        KubeInvalid(422, "Invalid", "PodLogOptions is invalid: stream: Forbidden: may not be specified"),
        KubeInvalid(400, "BadRequest", "stream is not supported by this kubelet"),
    ],
)
def test_merged_where_it_does_not(error: KubeInvalid) -> None:
    kubelet, store = Kubelet(stdout=error, stderr=error, all=ONE + TWO), Store()
    support = StreamSupport()
    poll(make_log(kubelet, store, support=support), final=True)
    assert store.data == {"all": b"one\ntwo\n"}
    poll(make_log(kubelet, Store(), support=support))
    assert [stream for stream, _ in kubelet.asked] == ["Stdout", None, None], "it is asked only once"


def test_a_later_read_overlaps_and_stores_only_what_is_new() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = ONE + TWO
    assert poll(log)
    assert not poll(log)
    assert store.data["stdout"] == b"one\ntwo\n"
    assert kubelet.asked[-2] == ("Stdout", "2026-03-02T10:00:00Z")


def test_a_successor_goes_on_where_the_store_stands() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    poll(make_log(kubelet, store))
    kubelet.streams["stdout"] = ONE + TWO
    poll(make_log(kubelet, store))
    assert store.data["stdout"] == b"one\ntwo\n"


def test_a_position_that_moved_is_read_again() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    first, second = make_log(kubelet, store), make_log(kubelet, store)
    poll(first)
    kubelet.streams["stdout"] = ONE + TWO
    poll(second)
    with pytest.raises(KubeUnreachable):
        poll(first)
    poll(first)
    assert store.data["stdout"] == b"one\ntwo\n"


def test_a_log_that_cannot_be_read_is_a_marked_gap() -> None:
    store, error = Store(), KubeNotFound(404, "NotFound", "no pod")
    poll(make_log(Kubelet(stdout=error, stderr=error), store), final=True)
    assert set(store.finished) == {"stdout", "stderr"}
    assert all(reason and "could not be read" in reason for reason in store.finished.values())


def test_a_container_that_has_not_started_is_no_gap_while_it_may_still() -> None:
    store = Store()
    waiting = KubeInvalid(400, "BadRequest", 'container "task" in pod "p" is waiting to start: ContainerCreating')
    poll(make_log(Kubelet(stdout=waiting, stderr=waiting), store))
    assert store.finished == {}


def test_a_sentence_of_the_kubelet_is_a_gap_and_no_line() -> None:
    store = Store()
    poll(
        make_log(Kubelet(stdout=b"unable to retrieve container logs for containerd://x", stderr=TWO), store), final=True
    )
    assert store.data == {"stderr": b"two\n"}
    assert store.finished["stderr"] is None
    assert "unable to retrieve" in (store.finished["stdout"] or "")


@pytest.mark.parametrize("error", [KubeUnreachable("502"), KubeForbidden(403, "Forbidden", "no right")])
def test_trouble_that_may_pass_is_waited_for_but_not_for_ever(error: Exception) -> None:
    clock, store = Clock(), Store()
    log = make_log(Kubelet(stdout=error), store, clock)
    with pytest.raises(type(error)):
        poll(log, final=True)
    clock.time += PATIENCE - timedelta(seconds=1)
    with pytest.raises(type(error)):
        poll(log, final=True)
    clock.time += timedelta(seconds=2)
    poll(log, final=True)
    assert "could not be read for" in (store.finished["stdout"] or "")


def test_what_was_stored_of_a_deleted_pod_stays_and_is_marked() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    asyncio.run(log.abandon("its Pod was deleted"))
    assert store.data == {"stdout": b"one\n"}
    assert store.finished == {"stdout": "its Pod was deleted", "stderr": "its Pod was deleted"}


def test_stamps_out_of_order_lose_no_line() -> None:
    """Two streams in one file, or a clock that was set back: the order of the file counts."""
    early = b"2026-03-02T09:00:00.000000001Z clock was set back\n"
    kubelet, store = Kubelet(stdout=TWO), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = TWO + early + ONE
    poll(log, final=True)
    assert store.data["stdout"] == b"two\nclock was set back\none\n"
    assert store.finished["stdout"] is None


def test_a_rotation_between_two_reads_is_marked_in_the_text_and_in_the_answer() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = b"2026-03-02T11:00:00.000000001Z much later\n"
    assert poll(log)
    assert not poll(log)
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"one\n{GAP_LINE}\nmuch later\n"
    assert "rotated away" in (store.finished["stdout"] or "")


def test_tells_of_what_was_stored_once_and_of_its_end() -> None:
    kubelet, store, heard = Kubelet(stdout=ONE), Store(), []
    log = PodLog(
        kubelet,
        store,  # type: ignore[arg-type]
        StreamSupport(),
        namespace="ns",
        pod="pod",
        container="task",
        execution_id="exec-1",
        execution_time=CREATED,
        attempt=1,
        now=Clock(),
        stored=heard.append,
    )
    assert not log.finished
    poll(log)
    assert (heard, log.finished) == ([b"one\n"], False)
    kubelet.streams["stdout"] = ONE + TWO
    poll(log, final=True)
    assert (heard, log.finished) == ([b"one\n", b"two\n"], True)
    asked = len(kubelet.asked)
    poll(log, final=True)
    assert (heard, len(kubelet.asked)) == ([b"one\n", b"two\n"], asked), "what is finished is not read again"
