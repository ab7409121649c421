"""Takes secrets out of output before it is stored. Pure.

What goes: given values, word for word; tokens behind `Bearer`, JSON web tokens, passwords in addresses; and what
patterns of the settings match. It works on whole lines, so a secret that spans a line end is not found, but however
the bytes came in - reads, chunks, the 16 KiB parts of a container runtime - makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST = 8
"""Shorter values of variables stay: they would be found everywhere by chance."""
SHORTEST_SECRET = 6
"""The same for a variable whose name speaks of a secret, and for values from Secrets."""
MAX_PATTERNS, MAX_PATTERN_LENGTH = 50, 500
_NEAR = 8 * 1024
_MARK = REDACTED.encode()
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|credential|key|auth|dsn", re.IGNORECASE)
_HARMLESS = re.compile(r"[0-9.,:/+\-TZ ]+|(true|false)|(/|\./|~)[^\s:@]*|[a-z][a-z0-9+.-]*://[^\s@]*", re.IGNORECASE)
"""Numbers, dates, times, paths, and addresses without a user."""

# What must be there comes first, since bytes.find is many times faster than a pattern, and for one byte faster still.
_BUILT_IN = (
    (b"bearer", re.compile(rb"(?i)(?<=bearer)[ \t:=]{1,8}(?P<secret>[a-z0-9._~+/=-]{16,})")),
    (b"authorization", re.compile(rb"(?i)authorization[\"']?[ \t:=\"']{1,8}basic[ \t]+(?P<secret>[a-z0-9+/=]{4,})")),
    (b"J", re.compile(rb"(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)")),
    (b"@", re.compile(rb"://[^\s:/@\"']{0,256}:(?P<secret>[^\s/@\"']{1,1024})@")),
)


class BadPattern(ValueError):
    """A pattern of the settings cannot be used; the text says which and why."""


def compile_patterns(patterns: Iterable[str]) -> tuple[re.Pattern[bytes], ...]:
    """Python's regular expressions, matched line by line on UTF-8. Raises BadPattern."""
    compiled = []
    for number, pattern in enumerate(patterns):
        if number >= MAX_PATTERNS:
            raise BadPattern(f"more than {MAX_PATTERNS} patterns")
        if not 0 < len(pattern) <= MAX_PATTERN_LENGTH:
            raise BadPattern(f"pattern {number + 1}: must have 1 to {MAX_PATTERN_LENGTH} characters")
        try:
            made = re.compile(pattern.encode(), re.MULTILINE)
        except re.error as error:
            raise BadPattern(f"pattern {number + 1}: {error}") from None
        if made.search(b""):
            raise BadPattern(f"pattern {number + 1}: matches the empty text")
        compiled.append(made)
    return tuple(compiled)


def literals_of_env(env: Iterable[Mapping[str, Any]]) -> set[str]:
    """The values of literal variables (of a container in JSON) that are to be taken out of its output."""
    found = set()
    for variable in env:
        value, name = variable.get("value"), str(variable.get("name") or "")
        if not isinstance(value, str) or name.startswith("CRONWRIGHT_"):
            continue
        value = value.strip()
        if _SECRET_NAME.search(name):
            if len(value) >= SHORTEST_SECRET:
                found.add(value)
        elif len(value) >= SHORTEST and not _HARMLESS.fullmatch(value):
            found.add(value)
    return found


class Redactor:
    """Takes out `literals` (as they are, URL-quoted, and in GB18030; of several lines each by itself), and `patterns`.

    Of a pattern with a group named `secret` the group goes, of any other the whole match.
    """

    def __init__(self, literals: Iterable[str] = (), patterns: Iterable[re.Pattern[bytes]] = ()) -> None:
        spelt: set[bytes] = set()
        for literal in literals:
            lines = literal.splitlines()
            for part in lines if len(lines) > 1 else [literal]:
                if len(part.strip()) >= SHORTEST_SECRET:
                    spelt |= _spellings(part.strip())
        # The longest first: one value may be a part of another.
        self._literals = tuple(sorted(spelt, key=lambda value: (-len(value), value)))
        self._patterns = tuple(patterns)

    def lines(self, block: bytes) -> bytes:
        """Whole lines, each ended by a newline, and as many afterwards."""
        done = self._apply(block)
        if done is block or done.count(b"\n") == block.count(b"\n"):
            return done
        # A pattern has matched across a line end; line by line it cannot.
        return b"".join(self._apply(line).replace(b"\n", b" ") + b"\n" for line in block.split(b"\n")[:-1])

    def text(self, text: str | None) -> str | None:
        """A text that a program or a person wrote elsewhere: an annotation, a termination message."""
        if not text:
            return text
        return self._apply(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def safe_cut(self, text: bytes, at: int) -> int:
        """Where to cut a long line near `at`: before it, not inside of something that is to be taken out."""
        blank = max(text.rfind(b" ", at - _NEAR, at), text.rfind(b",", at - _NEAR, at))
        at = blank + 1 if blank > 0 else at
        begin = max(0, at - _NEAR)
        near = text[begin : at + _NEAR]
        starts = [begin + start for start, end in self._found(near) if start < at - begin < end]
        cut = min(starts, default=at)
        return cut if cut > 0 else at

    def _apply(self, block: bytes) -> bytes:
        for literal in self._literals:
            if literal in block:
                block = block.replace(literal, _MARK)
        lowered = block.lower()
        for hint, pattern in _BUILT_IN:
            if hint in (block if len(hint) == 1 else lowered):
                block = pattern.sub(_replaced, block)
        for pattern in self._patterns:
            block = pattern.sub(_replaced, block)
        return block

    def _found(self, text: bytes) -> list[tuple[int, int]]:
        found = []
        for literal in self._literals:
            start = text.find(literal)
            while start >= 0:
                found.append((start, start + len(literal)))
                start = text.find(literal, start + 1)
        for pattern in (*(pattern for _, pattern in _BUILT_IN), *self._patterns):
            found += [match.span() for match in pattern.finditer(text)]
        return found


def _replaced(match: re.Match[bytes]) -> bytes:
    if "secret" not in match.re.groupindex or match["secret"] is None:
        return _MARK
    start = match.start()
    whole = match[0]
    return whole[: match.start("secret") - start] + _MARK + whole[match.end("secret") - start :]


def _spellings(value: str) -> set[bytes]:
    spelt = {value.encode("utf-8", "replace"), quote(value, safe="").encode()}
    if not value.isascii():
        spelt.add(value.encode("gb18030", "replace"))
    return spelt
