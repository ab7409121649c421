"""The kubelet's log files, in the format of the container runtime interface, taken apart into stdout and stderr. Pure.

A line of such a file is `<RFC 3339 time> stdout|stderr F|P <text>`; a P line is a part that the next line of the same
stream goes on from (k8s.io/cri-client pkg/logs). What comes out has the form in which the API server shows a log, and
is given to a `LineSplitter` a stream.
"""

from __future__ import annotations

import re
from typing import Literal

from cronwright_operator.recording.lines import to_utc

CriStream = Literal["stdout", "stderr"]
_ROTATED = re.compile(r"(\d+)\.log(?:\.(\d{8}-\d{6}))?(\.gz)?")


class CriDecoder:
    """Takes the bytes of a container's log files one after another, cut anywhere."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._open: set[CriStream] = set()
        self.last_line = b""
        """The last whole line of the file, as it stands there."""

    def feed(self, chunk: bytes) -> dict[CriStream, bytes]:
        """What the whole lines that are there now say, by stream. What is no line of that form is passed over."""
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._rest.append(chunk)
            return {}
        lines = b"".join((*self._rest, head)).split(b"\n")
        self._rest = [tail]
        self.last_line = lines[-1] + b"\n"
        out: dict[CriStream, list[bytes]] = {"stdout": [], "stderr": []}
        for line in lines:
            self._take(line, out)
        return {stream: b"".join(parts) for stream, parts in out.items() if parts}

    @property
    def unfinished(self) -> int:
        """How many bytes of an unfinished line have been taken: the last one of a file that is being written."""
        return sum(map(len, self._rest))

    def end_file(self) -> None:
        """The next bytes are those of another file; a torn line at the end of this one is dropped."""
        self._rest = []

    def _take(self, line: bytes, out: dict[CriStream, list[bytes]]) -> None:
        fields = line.split(b" ", 3)
        if len(fields) < 3:
            return
        stamp, name, tag = fields[:3]
        text = fields[3] if len(fields) > 3 else b""
        stream: CriStream
        if name == b"stdout":
            stream = "stdout"
        elif name == b"stderr":
            stream = "stderr"
        else:
            return
        parts = out[stream]
        if stream not in self._open:
            if len(stamp) != 30 or stamp[-1:] != b"Z":
                try:
                    stamp = to_utc(stamp.decode("ascii")).encode()
                except ValueError:
                    return
            parts += (stamp, b" ")
        parts.append(text)
        # Tags may be several, with colons between them; the first says whether the line goes on.
        if tag.split(b":", 1)[0] == b"P":
            self._open.add(stream)
        else:
            parts.append(b"\n")
            self._open.discard(stream)


def chain_of(names: list[str]) -> list[str]:
    """The log files of a container in the order in which they were written; the current one is the last.

    The kubelet renames a full file to `0.log.<time>`, and compresses it to `.gz` when the next one is full.
    """
    found: dict[tuple[int, str], str] = {}
    for name in names:
        match = _ROTATED.fullmatch(name)
        if match is None or (match[3] and not match[2]):
            continue
        key = (int(match[1]), match[2] or "~")
        # While it is being compressed both are there.
        if key not in found or found[key].endswith(".gz"):
            found[key] = name
    return [found[key] for key in sorted(found)]


def plain_name(name: str) -> str:
    """The name of a file before it was compressed."""
    return name.removesuffix(".gz")
