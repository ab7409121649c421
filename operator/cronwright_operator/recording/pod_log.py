"""The output of one Pod, from the cluster into the store: polled while the Pod runs, completed once it has ended.

Polled and not followed: a followed log drops lines at rotation and still ends cleanly (kubernetes cri-client logs.go).
What could not be read, or may not have been, is marked by a line in its place and by the stream's reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import cast

from cronwright_core.kube.errors import (
    KubeError,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
    KubeRejected,
    KubeUnreachable,
)
from cronwright_core.store.errors import CursorMoved
from cronwright_core.store.logs import LogStore
from cronwright_core.store.records.logs import Stream
from cronwright_operator.recording.confirming import (
    SMALL,
    Reading,
    Shown,
    confirms_end,
    confirms_rotation,
    same_lines,
    since_time_after,
)
from cronwright_operator.recording.cri import CriStream
from cronwright_operator.recording.lines import LineSplitter, NewLines, Position, gap_before
from cronwright_operator.recording.log_files import LogFiles, TrackLost
from cronwright_operator.recording.one_ahead import OneAhead
from cronwright_operator.recording.output import MARKER_PREFIX
from cronwright_operator.recording.redaction import Redactor
from cronwright_operator.recording.sources import STREAMS_OF, LogSources, Source
from cronwright_operator.recording.stored_log import StoredLog

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long the final read is tried while the node (or the API server) does not answer."""
ROTATED = "the log file was rotated between two reads"
BEGINNING = "the log file had been rotated before its first read"
SET_BACK = "the node's clock was set back, and lines before were left out of earlier reads"
UNREADABLE = "the log could not be read"
_READS = 8
"""So many reads are to confirm an end before the rest is left to a later time."""
_FILE_TRIES = 3
_KUBE_STREAMS: dict[Stream, str | None] = {"stdout": "Stdout", "stderr": "Stderr", "all": None}


def gap_line(reason: str) -> str:
    """The line in the place of output that could not be read."""
    return f"{MARKER_PREFIX}output may be missing here: {' '.join(reason.split())[:200]}]"


class PodLog:
    """Reads one Pod's output into the store. Not safe for two tasks at once; the recorder owns it."""

    def __init__(
        self,
        sources: LogSources,
        store: LogStore,
        *,
        namespace: str,
        pod: str,
        container: str,
        execution_id: str,
        execution_time: datetime,
        attempt: int,
        now: Callable[[], datetime],
        redactor: Callable[[], Awaitable[Redactor]],
        pod_uid: str = "",
        host: str | None = None,
        start_time: datetime | None = None,
        stored: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`host` is the address of the Pod's node, `start_time` when the container began; None: unknown. `stored` is
        called with the lines of each append that was committed."""
        self._sources = sources
        self._log = StoredLog(store, execution_id=execution_id, execution_time=execution_time, attempt=attempt, now=now)
        self._namespace = namespace
        self._pod = pod
        self._container = container
        self._now = now
        self._load_redactor = redactor
        self._redactor = Redactor()
        self._folder = f"{namespace}_{pod}_{pod_uid}/{container}"
        self._host = host
        self._start_time = start_time
        self._stored = stored
        self._lock = asyncio.Lock()
        self._trouble_since: datetime | None = None
        self._files: LogFiles | None = None
        self._file_failures = 0
        self._looked: dict[Stream, datetime] = {}
        self._set_back: set[Stream] = set()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be read."""
        return self._log.positions is not None and not self._open_streams(self._log.positions)

    async def poll(self, *, final: bool) -> bool:
        """Reads what is new on every stream; returns whether there was anything. `final`: the container has ended.

        Raises:
            KubeUnreachable, Unavailable: try again later; nothing is lost or stored twice.
        """
        async with self._lock:
            try:
                return await self._poll(final=final)
            except (KubeUnreachable, KubeForbidden) as error:
                # Forbidden passes too: an API server that has just started, a role that is being replaced.
                if not final or not self._patience_is_over():
                    raise
                # A node that is gone for good: an honest gap is worth more than an execution that never ends.
                for stream in self._open_streams(await self._log.load()):
                    await self._give_up(stream, f"the log could not be read for {PATIENCE}", str(error))
                return False

    async def abandon(self, reason: str) -> None:
        """Marks what was not read to its end: the Pod is gone, and its output with it. What is stored stays."""
        async with self._lock:
            await self._read_what_is_left()
            for stream in self._open_streams(await self._log.load()):
                await self._give_up(stream, reason)

    async def _read_what_is_left(self) -> None:
        """Reads on in the log files, which a node keeps for a while after their Pod is gone: up to where they are now.

        The container may still be printing, so this is no end that one could be sure of.
        """
        positions = await self._log.load()
        if self._sources.files is None or self._host is None or "all" in positions:
            return
        self._files = None
        try:
            self._redactor = await self._load_redactor()
            await self._read_files(final=True)
        except KubeError as error:
            logger.info("the log files of the deleted Pod %s cannot be read: %s", self._pod, error)
        except CursorMoved:
            self._log.positions = None
        finally:
            self._files = None

    def _source(self, positions: dict[Stream, Position]) -> Source:
        usable = self._host is not None and (bool(positions) or self._file_failures < _FILE_TRIES)
        return self._sources.source_for(positions.keys(), files=usable)

    def _open_streams(self, positions: dict[Stream, Position]) -> tuple[Stream, ...]:
        streams = STREAMS_OF[self._source(positions)]
        return tuple(stream for stream in streams if stream not in self._log.complete)

    def _patience_is_over(self) -> bool:
        now = self._now()
        if self._trouble_since is None:
            self._trouble_since = now
        return now - self._trouble_since > PATIENCE

    async def _poll(self, *, final: bool) -> bool:
        positions = await self._log.load()
        self._redactor = await self._load_redactor()
        try:
            if self._source(positions) == "files":
                return await self._poll_files(final=final)
            return await self._poll_streams(positions, final=final)
        except CursorMoved:
            # Somebody (we, before a lost answer) stored more than we knew: look again where the stream stands.
            self._log.positions = self._files = None
            raise KubeUnreachable(f"the stored log of Pod {self._pod} is further than expected; read again") from None

    # By the API server

    async def _poll_streams(self, positions: dict[Stream, Position], *, final: bool) -> bool:
        if not final:
            return await self._poll_each(positions)
        ended: set[Stream] = set()
        try:
            return await self._read_to_end(positions, ended)
        finally:
            # All at once: a transaction for each would be most of what a run that prints nothing costs.
            await self._log.finish(ended)

    async def _poll_each(self, positions: dict[Stream, Position]) -> bool:
        grown = False
        for stream in self._open_streams(positions):
            try:
                grown |= await self._poll_stream(stream)
            except KubeInvalid as error:
                # Else "container is waiting to start", and there is nothing to read yet; or the stream was begun apart,
                # and the cluster has changed its mind since.
                if stream != "all" and self._sources.refused(error) and self._source(positions) != "streams":
                    return grown | await self._poll(final=False)
            except KubeNotFound:
                continue
        return grown

    async def _poll_stream(self, stream: Stream) -> bool:
        position = (await self._log.load()).get(stream, Position())
        began = self._now()
        gone = True
        for since in (position.since_time(), None):
            reading = await self._look(stream, since)
            if reading.splitter.anchored or not reading.splitter.seen_lines:
                break
            gone &= reading.splitter.overtaken
        else:
            if not gone:
                logger.info("the log of the Pod %s was cut off before its last stored line", self._pod)
                return False
            reading = await self._look(stream, None, from_start=True)
        if not reading.grown:
            self._looked[stream] = began
        return reading.grown

    async def _read_to_end(self, positions: dict[Stream, Position], ended: set[Stream]) -> bool:
        """`ended` takes up the streams whose end is confirmed."""
        streams = self._open_streams(positions)
        together: bytes | None = None
        if self._sources.split and len(streams) == 2 and not positions:
            # Most who end with nothing stored have printed nothing: two requests tell that of both streams.
            together = await self._together()
            if together == b"" == await self._together():
                ended.update(streams)
                return False
        firsts: dict[Stream, Reading] = {}
        for stream in streams:
            try:
                # The last read takes the whole file: it shows what the clocks of the node have done.
                firsts[stream] = await self._look(stream, None, final=True)
            except KubeInvalid as error:
                if stream != "all" and self._sources.refused(error) and self._source(positions) != "streams":
                    return await self._poll(final=True)
                # Else begun apart, and the cluster has changed its mind since.
                await self._give_up(stream, UNREADABLE, error.message)
            except KubeNotFound as error:
                await self._give_up(stream, UNREADABLE, error.message)
        grown = any(first.grown for first in firsts.values())
        if len(firsts) == 2 and all(first.shown.data is not None for first in firsts.values()):
            together = together or await self._together()
            if same_lines(list(firsts.values()), together):
                for stream, first in firsts.items():
                    await self._conclude(stream, first, ended)
                return grown
        for stream, first in firsts.items():
            try:
                grown |= await self._confirm(stream, first, ended)
            except (KubeInvalid, KubeNotFound) as error:
                await self._give_up(stream, UNREADABLE, error.message)
        return grown

    async def _together(self) -> bytes | None:
        """What one read of both streams shows; None: more than a little, or nothing can be read."""
        shown = Shown()
        try:
            async for chunk in self._chunks("all", None, limit_bytes=SMALL + 1):
                shown.take(chunk)
        except (KubeInvalid, KubeNotFound):
            return None  # the streams' own reads tell why
        return shown.data

    async def _confirm(self, stream: Stream, before: Reading, ended: set[Stream]) -> bool:
        """Reads on until two reads show the same end. Raises KubeUnreachable if they do not."""
        grown = from_start = False
        for earlier in range(_READS):
            # The end of a log may not hold its last stored line where the whole of it does.
            whole = from_start or (earlier > 1 and not before.splitter.anchored)
            since = since_time_after(before, whole=whole)
            now = await self._look(stream, since, from_start=from_start, final=True)
            grown |= now.grown
            # Once there are lines behind the mark, the last one of them is looked for.
            from_start &= not now.grown
            if confirms_end(before, now):
                await self._conclude(stream, now, ended, reason=ROTATED if from_start else None)
                return grown
            from_start |= confirms_rotation(before, now)
            before = now
        raise KubeUnreachable(f"the log of Pod {self._pod} is cut off each time that it is read")

    async def _conclude(self, stream: Stream, last: Reading, ended: set[Stream], *, reason: str | None = None) -> None:
        """Ends a stream whose end is confirmed."""
        if stream in self._set_back:
            reason = reason or SET_BACK
        # The container has ended, so a line without a newline is a line.
        rest = last.splitter.end(final=True)
        if last.splitter.complaint is not None:
            await self._give_up(stream, "the node no longer has the log", last.splitter.complaint)
        elif rest is not None:
            if reason is None and self._beginning_is_missing(stream, rest):
                reason = BEGINNING
            # If we died between the line and the end, a successor would look for the line, and it has no newline.
            await self._append(stream, rest, reason=reason, complete=True)
        elif reason is not None or not last.splitter.anchored:
            # With the end in one write: a successor that found one without the other would mark it again.
            await self._append_marker(stream, reason or ROTATED, complete=True)
        else:
            ended.add(stream)

    async def _look(
        self, stream: Stream, since_time: str | None, *, from_start: bool = False, final: bool = False
    ) -> Reading:
        """Reads once and stores what is new; all that is there behind a mark, if `from_start`."""
        position = (await self._log.load()).get(stream, Position())
        reading = Reading(since_time, LineSplitter(position, from_start=from_start, cut=self._redactor.safe_cut))
        portions = self._read(stream, reading)
        reading.grown = await self._take(stream, portions, behind=ROTATED if from_start else None)
        reading.rest = reading.splitter.rest
        if final and since_time is None and reading.splitter.unstored:
            self._set_back.add(stream)
        if final and not reading.splitter.anchored:
            # It may be the last stored line, or a sentence of the kubelet.
            reading.splitter.end(final=True)
        if self._sources.split is None and stream == "stdout":
            self._sources.split = True
        return reading

    async def _read(self, stream: Stream, reading: Reading) -> AsyncIterator[NewLines]:
        async for chunk in self._chunks(stream, reading.since_time):
            reading.shown.take(chunk)
            portion = reading.splitter.feed(chunk)
            if portion is not None:
                yield portion
        portion = reading.splitter.end(final=False)
        if portion is not None:
            yield portion

    def _chunks(
        self, stream: Stream, since_time: str | None, *, limit_bytes: int | None = None
    ) -> AsyncIterator[bytes]:
        return self._sources.client.read_log(
            self._namespace,
            self._pod,
            container=self._container,
            stream=_KUBE_STREAMS[stream],
            since_time=since_time,
            limit_bytes=limit_bytes,
        )

    async def _take(self, stream: Stream, portions: AsyncIterator[NewLines], *, behind: str | None = None) -> bool:
        """Stores portions; the first behind a line that marks a gap, if there is one."""
        grown = False
        async with OneAhead() as storing:
            async for portion in portions:
                await storing.settle()
                reason = behind if not grown else None
                if reason is None and self._beginning_is_missing(stream, portion):
                    reason = BEGINNING
                await storing.begin(self._append(stream, portion, reason=reason))
                grown = True
        return grown

    def _beginning_is_missing(self, stream: Stream, first: NewLines) -> bool:
        if (self._log.positions or {}).get(stream, Position()).lines or self._start_time is None:
            return False
        return gap_before(first, max(self._start_time, self._looked.get(stream, self._start_time)))

    # By the kubelet

    async def _poll_files(self, *, final: bool) -> bool:
        try:
            grown = await self._read_files(final=final)
        except (KubeUnreachable, KubeForbidden):
            self._files = None
            self._file_failures += 1
            raise
        except KubeNotFound as error:
            self._files = None
            if not await self._log.load():
                # Nothing of it was ever there: this kubelet may not show its files at all.
                self._file_failures = _FILE_TRIES if final else self._file_failures + 1
                return await self._poll(final=True) if final else False
            if not final:
                return False
            for stream in self._open_streams(await self._log.load()):
                await self._give_up(stream, "the node no longer has the log", error.message)
            return False
        except KubeRejected as error:
            # "405: the logs endpoint is disabled"
            self._files = None
            self._file_failures += 1
            raise KubeUnreachable(f"the kubelet of Pod {self._pod} refuses: {error}") from error
        except BaseException:
            # What it has read may not be stored; a new one looks for the last stored line.
            self._files = None
            raise
        self._file_failures = 0
        if final:
            await self._log.finish(self._open_streams(await self._log.load()))
        return grown

    async def _read_files(self, *, final: bool) -> bool:
        grown, lost = await self._read_chain(frozenset(), final=final)
        if lost:
            self._files = None
            grown |= (await self._read_chain(lost, final=final))[0]
        return grown

    async def _read_chain(self, lost: frozenset[CriStream], *, final: bool) -> tuple[bool, frozenset[CriStream]]:
        """Reads what is new; returns whether there was anything, and the streams whose last stored line is not in the
        files any more. `lost` streams are taken from the first line that is there, behind a mark."""
        positions = await self._log.load()
        files = self._files
        if files is None:
            assert self._sources.files is not None  # noqa: S101 - _source says "files" only with them
            open_ = cast("list[CriStream]", [s for s in self._open_streams(positions) if s != "all"])
            files = self._files = LogFiles(
                self._sources.files,
                host=self._host or "",
                folder=self._folder,
                positions={stream: positions.get(stream, Position()) for stream in open_},
                from_start=lost,
                cut=self._redactor.safe_cut,
            )
        grown: set[Stream] = set()
        try:
            async with OneAhead() as storing:
                async for stream, portion in files.read(final=final):
                    await storing.settle()
                    reason = ROTATED if stream in lost and stream not in grown else None
                    if reason is None and files.rotated and self._beginning_is_missing(stream, portion):
                        reason = BEGINNING
                    await storing.begin(self._append(stream, portion, reason=reason))
                    grown.add(stream)
        except TrackLost:
            self._files = None
            raise KubeUnreachable(f"the log files of Pod {self._pod} change faster than they are read") from None
        missing = frozenset(
            stream
            for stream, splitter in files.splitters.items()
            if not splitter.anchored and (splitter.seen_lines or final)
        )
        if final:
            for stream in lost - grown:
                await self._append_marker(stream, ROTATED)
        return bool(grown), missing

    # Into the store

    async def _append_marker(self, stream: Stream, reason: str, *, complete: bool = False, detail: str = "") -> None:
        said = f"{reason}: {detail}" if detail else reason
        await self._log.mark(stream, gap_line(reason), reason=said, complete=complete)

    async def _append(self, stream: Stream, new: NewLines, *, reason: str | None, complete: bool = False) -> None:
        new = NewLines(self._redactor.lines(new.data), new.count, new.position, new.first_stamp, new.partial)
        if reason is not None:
            new = new.behind(gap_line(reason))
        await self._log.append(stream, new, reason=reason, complete=complete)
        self._stored(new.data)

    async def _give_up(self, stream: Stream, reason: str, detail: str = "") -> None:
        """Ends a stream that was not read to its end, with a line that says so."""
        await self._append_marker(stream, reason, complete=True, detail=detail)
