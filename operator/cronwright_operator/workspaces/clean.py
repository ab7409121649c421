"""Removes directories of ended executions from a workspace volume. The standard library only: it runs in a Job.

The volume is shared with programs of all sorts, so nothing in it is believed: names are plain names below the root,
everything is reached from the root's descriptor step by step, symbolic links are removed and never followed, and
another file system mounted inside is left alone.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""A Job's name; no dot and no slash, so never a path."""
_BLOCK = 512
"""The unit of `st_blocks`, whatever the file system's own is."""
_PROBLEMS_SHOWN = 5
_FAILED_NAMED = 30
_PROBLEM_LENGTH = 200
"""A termination message holds 4096 bytes; a name has at most 63 characters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A directory to be removed, and when its execution ended (seconds since 1970)."""

    name: str
    ended: int


def parse_entry(text: str) -> Entry:
    """Reads `NAME=SECONDS`. Raises ValueError for anything but a Job's name and a number."""
    name, separator, seconds = text.partition("=")
    if (
        not separator
        or not _NAME.fullmatch(name)
        or not (seconds.isascii() and seconds.isdecimal())
        or len(seconds) > 12
    ):
        raise ValueError(f"{text[:80]!r} is not NAME=SECONDS")
    return Entry(name, int(seconds))


@dataclass(slots=True)
class Report:
    """What was really done. `handled` entries were looked at, the rest was left for lack of time.

    `freed` counts bytes as the file system had allocated them, `oldest` is the earliest end among the removed.
    """

    handled: int = 0
    removed: int = 0
    missing: int = 0
    freed: int = 0
    oldest: int | None = None
    failed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """At most 4096 bytes, as a Pod's termination message holds."""
        value = {
            "handled": self.handled,
            "removed": self.removed,
            "missing": self.missing,
            "freed": self.freed,
            "oldest": self.oldest,
            "failed": len(self.failed),
            "failed_names": self.failed[:_FAILED_NAMED],
            "problems": self.problems[:_PROBLEMS_SHOWN],
        }
        return json.dumps(value, separators=(",", ":"))


def clean(root: str, entries: Iterable[Entry], *, enough: Callable[[], bool] = lambda: False) -> Report:
    """Removes the entries' directories below `root`; stops between two of them when it is `enough`.

    Raises:
        OSError: the root is no directory that can be opened.
    """
    report = Report()
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        device = os.fstat(root_fd).st_dev
        for entry in entries:
            if enough():
                break
            report.handled += 1
            _clean_one(root_fd, entry, device, report)
    finally:
        os.close(root_fd)
    return report


def _clean_one(root_fd: int, entry: Entry, device: int, report: Report) -> None:
    tally = _Tally(device)
    try:
        try:
            status = os.stat(entry.name, dir_fd=root_fd, follow_symlinks=False)
        except FileNotFoundError:
            report.missing += 1
            return
        if not stat.S_ISDIR(status.st_mode):
            raise OSError("is no directory")
        tally.remove_directory(root_fd, entry.name)
    except (OSError, RecursionError) as error:
        report.failed.append(entry.name)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        report.problems.append(f"{entry.name}: {reason}"[:_PROBLEM_LENGTH])
    else:
        report.removed += 1
        report.oldest = entry.ended if report.oldest is None else min(report.oldest, entry.ended)
    finally:
        report.freed += tally.freed


class _Tally:
    """Removes a tree and counts what that frees, also if it has to give up half-way."""

    def __init__(self, device: int) -> None:
        self._device = device
        self.freed = 0

    def remove_directory(self, parent_fd: int, name: str) -> None:
        fd = self._open(parent_fd, name)
        try:
            status = os.fstat(fd)
            if status.st_dev != self._device:
                raise OSError("another file system is mounted in it")
            first: OSError | None = None
            for entry in os.listdir(fd):
                try:
                    self._remove(fd, entry)
                except OSError as error:
                    # The rest goes all the same: what is freed is freed.
                    first = first or error
            if first is not None:
                raise first
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent_fd)
        self.freed += status.st_blocks * _BLOCK

    def _remove(self, parent_fd: int, name: str) -> None:
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            self.remove_directory(parent_fd, name)
            return
        os.unlink(name, dir_fd=parent_fd)
        if status.st_nlink == 1:
            # Another name of the same file keeps its blocks.
            self.freed += status.st_blocks * _BLOCK

    def _open(self, parent_fd: int, name: str) -> int:
        """Opens a directory for listing and changing; a program may have taken these rights from its own directory."""
        flags = os.O_DIRECTORY | os.O_NOFOLLOW
        handle = os.open(name, os.O_PATH | flags, dir_fd=parent_fd)
        try:
            status = os.fstat(handle)
            if status.st_uid == os.geteuid() and status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
                # By the handle's own path: `name` may be another thing by now, and chmod follows links.
                os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
        finally:
            os.close(handle)
        return os.open(name, os.O_RDONLY | flags, dir_fd=parent_fd)
