"""What a `PodLog` reads from and stores into, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from cronwright_core.domain.errors import Message
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.records.logs import LogAppend, LogCursor, Stream
from cronwright_operator.recording.pod_log import PodLog
from cronwright_operator.recording.redaction import Redactor
from cronwright_operator.recording.sources import LogSources
from support.builders import CREATED


class Kubelet:
    """Answers log reads: bytes by stream (`all`: merged, as a rule both of them), or an error."""

    def __init__(self, **streams: bytes | Exception) -> None:
        self.streams = streams
        self.asked: list[tuple[str | None, str | None]] = []

    async def read_log(
        self, namespace: str, pod: str, *, stream: str | None, since_time: str | None, **_: Any
    ) -> AsyncIterator[bytes]:
        self.asked.append((stream, since_time))
        answer = self._answer((stream or "all").lower())
        if isinstance(answer, Exception):
            raise answer
        yield answer

    def _answer(self, stream: str) -> bytes | Exception:
        if stream == "all" and "all" not in self.streams:
            return b"".join(part for part in self.streams.values() if isinstance(part, bytes))
        return self.streams.get(stream, b"")


class CutKubelet(Kubelet):
    """Looks at `sinceTime`; its n-th answer ends cleanly after `cuts[n]` bytes (None: it is whole)."""

    def __init__(self, *cuts: int | None, **streams: bytes | Exception) -> None:
        super().__init__(**streams)
        self.cuts = list(cuts)

    async def read_log(self, *_: Any, since_time: str | None, **options: Any) -> AsyncIterator[bytes]:
        cut = self.cuts.pop(0) if self.cuts else None
        async for answer in super().read_log(*_, since_time=since_time, **options):
            lines = answer.splitlines(keepends=True)
            yield b"".join(line for line in lines if since_time is None or line.decode() >= since_time[:-1])[:cut]


class Store:
    """The store's promises, in memory: appends are guarded by the stored position."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.rows: dict[str, LogCursor] = {}
        self.finished: dict[str, str | None] = {}

    def begin(self, stream: Stream, line: bytes, stamp: str) -> None:
        """Stores one line, as somebody before did."""
        self.append(
            [
                LogAppend(
                    execution_id="exec-1",
                    execution_time=CREATED,
                    attempt=1,
                    stream=stream,
                    from_line=0,
                    lines=line,
                    line_count=1,
                    at=CREATED,
                    last_stamp=stamp,
                    last_stamp_count=1,
                )
            ]
        )

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
                complete=new.complete,
                incomplete_reason=new.incomplete_reason or (row.incomplete_reason if row else None),
            )
            if new.complete:
                self.finished[new.stream] = self.rows[new.stream].incomplete_reason

    def finish(self, _: str, __: int, *streams: str, complete: bool) -> None:
        assert complete
        for stream in streams:
            row = self.rows.get(stream)
            self.finished[stream] = row.incomplete_reason if row else None


class Clock:
    def __init__(self) -> None:
        self.time = CREATED

    def __call__(self) -> datetime:
        return self.time


def make_log(
    kubelet: Kubelet,
    store: Store,
    clock: Clock | None = None,
    sources: LogSources | None = None,
    redactor: Redactor | None = None,
    **options: Any,
) -> PodLog:
    async def redact() -> Redactor:
        return redactor or Redactor()

    return PodLog(
        sources or LogSources(kubelet),
        store,  # type: ignore[arg-type]
        namespace="ns",
        pod="pod",
        container="task",
        execution_id="exec-1",
        execution_time=CREATED,
        attempt=1,
        now=clock or Clock(),
        redactor=redact,
        **options,
    )


def poll(log: PodLog, *, final: bool = False) -> bool:
    return asyncio.run(log.poll(final=final))
