"""How far one attempt's output is stored, and the writing of what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import LogAppend, LogCursor, Stream
from cronwright_operator.recording.lines import NewLines, Position


class StoredLog:
    """The streams of one attempt in the store. `positions` None: not looked at yet, or no longer known.

    Every method raises Unavailable if the database is away, and CursorMoved if somebody else has stored more.
    """

    def __init__(
        self,
        store: LogStore,
        *,
        execution_id: str,
        execution_time: datetime,
        attempt: int,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._execution_id = execution_id
        self._execution_time = execution_time
        self._attempt = attempt
        self._now = now
        self.positions: dict[Stream, Position] | None = None
        self.complete: set[Stream] = set()

    async def load(self) -> dict[Stream, Position]:
        """The positions by stream; of a stream without lines there is none."""
        if self.positions is None:
            cursors: list[LogCursor] = await asyncio.to_thread(self._store.cursors, self._execution_id)
            mine = [cursor for cursor in cursors if cursor.attempt == self._attempt]
            self.positions = {c.stream: Position(c.lines, c.last_stamp, c.last_stamp_count) for c in mine}
            self.complete |= {c.stream for c in mine if c.complete}
        return self.positions

    async def append(self, stream: Stream, new: NewLines, *, reason: str | None = None, complete: bool = False) -> None:
        """Stores lines; `reason`: why some may be missing; `complete`: nothing follows them."""
        positions = await self.load()
        before = positions.get(stream, Position())
        # A portion behind a marker that was stored before counts from there.
        position = Position(before.lines + new.count, new.position.stamp, new.position.stamp_count)
        append = LogAppend(
            execution_id=self._execution_id,
            execution_time=self._execution_time,
            attempt=self._attempt,
            stream=stream,
            from_line=before.lines,
            lines=new.data,
            line_count=new.count,
            at=self._now(),
            last_stamp=position.stamp,
            last_stamp_count=position.stamp_count,
            partial_line=new.partial,
            incomplete_reason=reason,
            complete=complete,
        )
        # If the answer is lost, the next append finds the cursor moved and reads it again: no line twice.
        await asyncio.to_thread(self._store.append, [append])
        positions[stream] = position
        if complete:
            self.complete.add(stream)

    async def mark(self, stream: Stream, line: str, *, reason: str, complete: bool) -> None:
        """Stores a line of ours."""
        position = (await self.load()).get(stream, Position())
        await self.append(
            stream, NewLines(line.encode() + b"\n", 1, position.past_marker()), reason=reason, complete=complete
        )

    async def finish(self, streams: Collection[Stream]) -> None:
        """Nothing follows on these streams."""
        if streams:
            await asyncio.to_thread(self._store.finish, self._execution_id, self._attempt, *streams, complete=True)
            self.complete |= set(streams)
