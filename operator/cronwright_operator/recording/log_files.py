"""One container's log files on its node, read on from where the last read ended, over any number of rotations."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from cronwright_core.kube.errors import KubeNotFound, KubeRejected
from cronwright_core.kube.kubelet_logs import NodeLogFiles
from cronwright_operator.recording.cri import CriDecoder, CriStream, chain_of, plain_name
from cronwright_operator.recording.lines import LineSplitter, NewLines, Position

_TRIES = 8
_INFLATED = 1024 * 1024
_RANGE_NOT_SATISFIABLE = 416


class TrackLost(Exception):
    """The file that was being read is not there any more: begin anew, and look for the last stored line."""


class LogFiles:
    """Reads stdout and stderr in one pass. What has been read is kept in memory only; after any error make a new one.

    The file is told by its bytes: each read begins with the last line that was read before. If that is not there, the
    file has been rotated, and goes on under another name.
    """

    def __init__(
        self,
        files: NodeLogFiles,
        *,
        host: str,
        folder: str,
        positions: Mapping[CriStream, Position],
        from_start: frozenset[CriStream] = frozenset(),
        cut: Callable[[bytes, int], int],
    ) -> None:
        """`folder` is `<namespace>_<pod>_<uid>/<container>`. `positions` names the streams to read; those `from_start`
        take all lines that are there."""
        self._files = files
        self._host = host
        self._folder = folder
        self._decoder = CriDecoder()
        self.splitters: dict[CriStream, LineSplitter] = {
            stream: LineSplitter(position, from_start=stream in from_start, cut=cut)
            for stream, position in positions.items()
        }
        self._current: str | None = None
        self._offset = 0
        self._done: set[str] = set()
        self.rotated = False
        """Whether there were files that had been rotated already when the first read began."""

    async def read(self, *, final: bool) -> AsyncIterator[tuple[CriStream, NewLines]]:
        """Yields what is new since the last read. `final`: the container has ended.

        Raises:
            TrackLost: see there.
            KubeError: the files cannot be read, now or at all.
        """
        async with aclosing(self._chunks(final=final)) as chunks:
            async for chunk in chunks:
                for stream, data in self._decoder.feed(chunk).items():
                    splitter = self.splitters.get(stream)
                    portion = splitter.feed(data) if splitter is not None else None
                    if portion is not None:
                        yield stream, portion
        for stream, splitter in self.splitters.items():
            portion = splitter.end(final=final)
            if portion is not None:
                yield stream, portion

    async def _chunks(self, *, final: bool) -> AsyncGenerator[bytes, None]:
        """The bytes that have not been read yet, of one file after another."""
        if self._current is not None and self._offset:
            async with aclosing(self._rest_of(self._current)) as rest:
                try:
                    async for chunk in rest:
                        yield chunk
                    return
                except (TrackLost, KubeNotFound):
                    pass  # rotated: found below under its new name
        for _ in range(_TRIES):
            chain = chain_of(await self._files.log_names(self._host, self._folder))
            if not chain:
                raise KubeNotFound(404, "NotFound", "the node has no log file of the container")
            # Just renamed, and the new one is not there yet: the old one may still be written to.
            current = chain.pop() if chain[-1].endswith(".log") else None
            if current is None and not final:
                return
            new = [name for name in chain if plain_name(name) not in self._done]
            self.rotated |= bool(new) and self._current is None and not self._done
            try:
                for name in new:
                    async with aclosing(self._rest_of(name)) as rest:
                        async for chunk in rest:
                            yield chunk
                    self._done.add(plain_name(name))
                    self._offset, self._current = 0, current
            except KubeNotFound:
                continue  # compressed or removed meanwhile
            if new:
                continue
            if current is None:
                return
            async with aclosing(self._rest_of(current)) as rest:
                first = await anext(rest, None)
                # It is open now and stays the same file. If the list is the same, none was rotated before it opened.
                again = chain_of(await self._files.log_names(self._host, self._folder))
                if again != [*chain, current]:
                    continue
                self._current = current
                if first is not None:
                    yield first
                async for chunk in rest:
                    yield chunk
            return
        raise TrackLost

    async def _rest_of(self, name: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file behind what was read of it; counts them once they are taken."""
        known = self._decoder.last_line if self._offset else b""
        skipped = self._offset - len(known)
        head = b""
        checked = not known
        start = self._offset
        async with aclosing(self._content(name, skipped)) as content:
            try:
                async for chunk in content:
                    if not checked:
                        head += chunk
                        if len(head) < len(known):
                            continue
                        if not head.startswith(known):
                            raise TrackLost
                        checked, chunk = True, head[len(known) :]
                    if chunk:
                        start += len(chunk)
                        yield chunk
                        self._offset = start
            except KubeRejected as error:
                if error.status == _RANGE_NOT_SATISFIABLE:
                    raise TrackLost from None
                raise
        if not checked:
            raise TrackLost
        # A torn line at the end is read again: it is longer by then.
        self._offset -= self._decoder.unfinished
        self._decoder.end_file()

    async def _content(self, name: str, offset: int) -> AsyncGenerator[bytes, None]:
        compressed = name.endswith(".gz")
        path = f"{self._folder}/{name}"
        raw = self._files.read_log_file(self._host, path, offset=0 if compressed else offset)
        async with aclosing(raw) as chunks:
            if not compressed:
                async for chunk in chunks:
                    yield chunk
                return
            inflating = zlib.decompressobj(wbits=31)
            async for chunk in chunks:
                while chunk:
                    part = inflating.decompress(chunk, _INFLATED)
                    chunk = inflating.unconsumed_tail
                    if offset >= len(part):
                        offset -= len(part)
                    else:
                        yield part[offset:]
                        offset = 0
