"""Time zones by IANA name, from the pinned tz data, and their offsets as plain integers.

A name is valid exactly if Kubernetes takes it for `spec.timeZone`: Go's `LoadLocation` finds it, case counts, and it is
neither empty nor `Local`. The zones come from the `tzdata` distribution and not from the host's zone files, because the
release is part of a schedule's answer (Casablanca moves between releases). The one idea of `ZoneOffsets`: between two
transitions a zone is a constant, so calendar arithmetic there needs no look-up at all.
"""

from __future__ import annotations

import importlib
import importlib.resources
import zoneinfo
from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources.abc import Traversable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400

# A chunk of about 388 days is scanned at once. No zone of the tz database has two changes of offset within one scan
# step (the closest pair ever is 6.96 days apart; tests/unit/core/domain/test_timezones.py looks at every zone file).
_CHUNK_BITS = 25
_SCAN_STEP_SECONDS = 3 * DAY_SECONDS

# Beyond these, `datetime` cannot hold every local time; a zone keeps the offset it has there.
_FIRST_SECOND = int((datetime(1, 1, 3, tzinfo=UTC) - EPOCH).total_seconds())
_LAST_SECOND = int((datetime(9999, 12, 29, tzinfo=UTC) - EPOCH).total_seconds())


class UnknownTimeZoneError(ValueError):
    """The name is no IANA time zone of the pinned tz data. `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown time zone {name!r}")
        self.name = name


class ZoneOffsets:
    """The offsets of one zone, by UTC second; looked up once per year and kept. Safe to share between threads."""

    __slots__ = ("_chunks", "_zone")

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._chunks: dict[int, tuple[list[int], list[int]]] = {}

    def span(self, second: int) -> tuple[int, int, int]:
        """(start, end, offset): the offset in seconds east of Greenwich holds for start <= second < end.

        The span may be shorter than the time between two transitions, never longer.
        """
        index = second >> _CHUNK_BITS
        chunk = self._chunks.get(index)
        if chunk is None:
            chunk = self._chunks[index] = self._scan(index)
        starts, offsets = chunk
        position = bisect_right(starts, second)
        end = starts[position] if position < len(starts) else (index + 1) << _CHUNK_BITS
        return starts[position - 1], end, offsets[position - 1]

    def offset(self, second: int) -> int:
        """Seconds east of Greenwich at this UTC second."""
        return self.span(second)[2]

    def to_utc(self, wall: int) -> int:
        """The UTC second of a wall-clock second, as Go's `time.Date` chooses where the clock shows it twice or never.

        The inner look-up takes the wall number as if it were UTC, so the first pass of an overlap is chosen west of
        Greenwich and the second one in the east; Python's `fold` cannot say that.
        """
        return wall - self.offset(wall - self.offset(wall))

    def _scan(self, index: int) -> tuple[list[int], list[int]]:
        first, last = index << _CHUNK_BITS, (index + 1) << _CHUNK_BITS
        starts, offsets = [first], [self._read(first)]
        before = first
        while before < last:
            after = min(before + _SCAN_STEP_SECONDS, last)
            offset = self._read(after)
            if offset != offsets[-1]:
                starts.append(self._first_second_of(offset, before, after))
                offsets.append(offset)
            before = after
        return starts, offsets

    def _first_second_of(self, offset: int, before: int, after: int) -> int:
        while after - before > 1:
            middle = (before + after) // 2
            if self._read(middle) == offset:
                after = middle
            else:
                before = middle
        return after

    def _read(self, second: int) -> int:
        held = min(max(second, _FIRST_SECOND), _LAST_SECOND)
        offset = (EPOCH + timedelta(seconds=held)).astimezone(self._zone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())


@lru_cache(maxsize=1024)
def zone_offsets(zone: tzinfo) -> ZoneOffsets:
    """The offsets of a zone; the same object for the same zone, so that what was scanned is kept."""
    return ZoneOffsets(zone)


@lru_cache(maxsize=1024)
def load_zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone of an IANA name, e.g. `Asia/Shanghai`, `EST5EDT`, `Etc/GMT+8`; the same object for the same name.

    Raises:
        UnknownTimeZoneError: no such zone. `""`, `Local`, `CST`, `+08:00`, `asia/shanghai` and `../x` are none.
    """
    # Membership comes first: no other text ever becomes part of a path.
    if name not in zone_names():
        raise UnknownTimeZoneError(name)
    data = _tz_data()
    if data is None:
        return zoneinfo.ZoneInfo(name)
    with data.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every name that `load_zone` takes."""
    data = _tz_data()
    if data is None:
        return frozenset(zoneinfo.available_timezones())
    return frozenset(data.joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def tz_release() -> str:
    """The release of the tz data in use, e.g. `2026f`; `system` if the host's own zone files have to serve."""
    if _tz_data() is None:
        return "system"
    return str(importlib.import_module("tzdata").IANA_VERSION)


@lru_cache(maxsize=1)
def _tz_data() -> Traversable | None:
    try:
        return importlib.resources.files("tzdata")
    except ModuleNotFoundError:
        return None
