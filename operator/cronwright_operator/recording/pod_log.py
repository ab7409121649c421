"""The output of one Pod, from the API server into the store: polled while the Pod runs, completed once it has ended.

Polled and not followed: a followed log drops lines at rotation and still ends cleanly (kubernetes cri-client logs.go).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cronwright_core.kube.errors import KubeForbidden, KubeInvalid, KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import LogClient
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records import LogAppend, LogCursor, Stream
from cronwright_operator.recording.lines import LineSplitter, NewLines, Position

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long the final read is tried while the node (or the API server) does not answer."""
GAP_LINE = "[cronwright: output is missing here; it was rotated away before it could be read]"
_KUBE_STREAMS: dict[Stream, str | None] = {"stdout": "Stdout", "stderr": "Stderr", "all": None}


class StreamSupport:
    """Whether this cluster tells stdout and stderr apart (feature gate PodLogsQuerySplitStreams); found out once."""

    def __init__(self) -> None:
        self.split: bool | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams to read: apart until the cluster refuses."""
        return ("all",) if self.split is False else ("stdout", "stderr")

    def refused(self, error: KubeInvalid) -> bool:
        """Whether the error says that the cluster cannot split; remembers it. The API server answers 422, a kubelet
        400."""
        if self.split is None and "stream" in str(error).lower():
            logger.warning(
                "this cluster cannot tell stdout and stderr apart (PodLogsQuerySplitStreams is off); both are output"
            )
            self.split = False
            return True
        return False


class PodLog:
    """Reads one Pod's output into the store. Not safe for two tasks at once; the recorder owns it."""

    def __init__(
        self,
        client: LogClient,
        store: LogStore,
        support: StreamSupport,
        *,
        namespace: str,
        pod: str,
        container: str,
        execution_id: str,
        execution_time: datetime,
        attempt: int,
        now: Callable[[], datetime],
        stored: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`stored` is called with the lines of each append that was committed."""
        self._client = client
        self._store = store
        self._support = support
        self._namespace = namespace
        self._pod = pod
        self._container = container
        self._execution_id = execution_id
        self._execution_time = execution_time
        self._attempt = attempt
        self._now = now
        self._stored = stored
        self._positions: dict[Stream, Position] | None = None
        self._complete: set[Stream] = set()
        self._lock = asyncio.Lock()
        self._trouble_since: datetime | None = None
        self._gaps: dict[Stream, str] = {}

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be read."""
        return self._positions is not None and not self._open_streams(self._positions)

    async def poll(self, *, final: bool) -> bool:
        """Reads what is new on every stream; returns whether there was anything. `final`: the container has ended.

        Raises:
            KubeUnreachable, Unavailable: try again later; nothing is lost or stored twice.
        """
        async with self._lock:
            try:
                return await self._poll_streams(final=final)
            except (KubeUnreachable, KubeForbidden) as error:
                # Forbidden passes too: an API server that has just started, a role that is being replaced.
                if not final or not self._patience_is_over():
                    raise
                # A node that is gone for good: an honest gap is worth more than an execution that never ends.
                for stream in self._open_streams(await self._load()):
                    await self._finish(stream, f"the log could not be read for {PATIENCE}: {error}")
                return False

    async def abandon(self, reason: str) -> None:
        """Marks what was not read to its end: the Pod is gone, and its output with it. What is stored stays."""
        async with self._lock:
            for stream in self._open_streams(await self._load()):
                await self._finish(stream, reason)

    async def _poll_streams(self, *, final: bool) -> bool:
        positions = await self._load()
        grown = False
        for stream in self._open_streams(positions):
            try:
                grown |= await self._poll_stream(stream, final=final)
            except KubeInvalid as error:
                if not self._support.refused(error):
                    # "container is waiting to start": there is nothing to read yet.
                    if final:
                        await self._finish(stream, f"the log could not be read: {error.message}")
                    continue
                grown |= await self._poll_stream("all", final=final)
                break
        return grown

    def _open_streams(self, positions: dict[Stream, Position]) -> tuple[Stream, ...]:
        # A stream that was stored before the cluster changed its mind goes on under its own name.
        streams: tuple[Stream, ...] = self._support.streams
        if "all" in positions:
            streams = ("all",)
        elif positions:
            streams = ("stdout", "stderr")
        return tuple(stream for stream in streams if stream not in self._complete)

    def _patience_is_over(self) -> bool:
        now = self._now()
        if self._trouble_since is None:
            self._trouble_since = now
        return now - self._trouble_since > PATIENCE

    async def _poll_stream(self, stream: Stream, *, final: bool) -> bool:
        grown = False
        splitter = LineSplitter(Position())
        try:
            # The last read takes the whole file: it is complete whatever the clocks of the node have done.
            for since_start in (True,) if final else (False, True):
                position = (await self._load()).get(stream, Position())
                splitter = LineSplitter(position)
                grown |= await self._read(stream, splitter, None if since_start else position.since_time(), final=final)
                if not splitter.holds_lines:
                    break
            else:
                await self._append(stream, splitter.take_held(GAP_LINE))
                self._gaps[stream] = "output was rotated away before it was read"
                grown = True
        except KubeNotFound as error:
            if final:
                await self._finish(stream, f"the log could not be read: {error.message}")
            return grown
        except CursorMoved:
            # Somebody (we, before a lost answer) stored more than we knew: look again where the stream stands.
            self._positions = None
            raise KubeUnreachable(f"the stored log of Pod {self._pod} is further than expected; read again") from None
        if self._support.split is None and stream == "stdout":
            self._support.split = True
        if final:
            gap = f"the node no longer has the log: {splitter.complaint}" if splitter.complaint else None
            await self._finish(stream, gap or self._gaps.get(stream))
        return grown

    async def _read(self, stream: Stream, splitter: LineSplitter, since_time: str | None, *, final: bool) -> bool:
        grown = False
        chunks = self._client.read_log(
            self._namespace,
            self._pod,
            container=self._container,
            stream=_KUBE_STREAMS[stream],
            since_time=since_time,
            limit_bytes=None,
        )
        async for chunk in chunks:
            portion = splitter.feed(chunk)
            if portion is not None:
                await self._append(stream, portion)
                grown = True
        portion = splitter.end(final=final)
        if portion is not None:
            await self._append(stream, portion)
            grown = True
        return grown

    async def _append(self, stream: Stream, new: NewLines) -> None:
        positions = await self._load()
        before = positions.get(stream, Position())
        append = LogAppend(
            execution_id=self._execution_id,
            execution_time=self._execution_time,
            attempt=self._attempt,
            stream=stream,
            from_line=before.lines,
            lines=new.data,
            line_count=new.count,
            at=self._now(),
            last_stamp=new.position.stamp,
            last_stamp_count=new.position.stamp_count,
        )
        # If the answer is lost, the next append finds the cursor moved and reads it again: no line twice.
        await asyncio.to_thread(self._store.append, [append])
        positions[stream] = new.position
        self._stored(new.data)

    async def _finish(self, stream: Stream, incomplete_reason: str | None) -> None:
        await asyncio.to_thread(
            self._store.finish,
            self._execution_id,
            self._attempt,
            stream,
            complete=incomplete_reason is None,
            incomplete_reason=incomplete_reason,
        )
        self._complete.add(stream)

    async def _load(self) -> dict[Stream, Position]:
        if self._positions is None:
            cursors: list[LogCursor] = await asyncio.to_thread(self._store.cursors, self._execution_id)
            mine = [cursor for cursor in cursors if cursor.attempt == self._attempt]
            self._positions = {c.stream: Position(c.lines, c.last_stamp, c.last_stamp_count) for c in mine}
            self._complete |= {c.stream for c in mine if c.complete or c.incomplete_reason is not None}
        return self._positions
