"""Zones come from the pinned tz data alone, and their offsets as integers are the same as zoneinfo's."""

from __future__ import annotations

import importlib.resources
import re
import struct
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain import timezones
from cronwright_core.domain.timezones import (
    EPOCH,
    UnknownTimeZoneError,
    ZoneOffsets,
    load_zone,
    tz_release,
    zone_names,
    zone_offsets,
)


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "EST5EDT", "Etc/GMT+8", "Asia/Calcutta", "GMT0", "Zulu"])
def test_known(name: str) -> None:
    assert load_zone(name).key == name
    assert load_zone(name) is load_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Local",
        "local",
        "CST",
        "UTC+8",
        "+08:00",
        "asia/shanghai",
        "../x",
        "/etc/localtime",
        "Asia",
        "Asia/",
        "zones",
        "Asia/../Asia/Tokyo",
        "./UTC",
        "Asia//Tokyo",
        " UTC",
        "UTC\n",
        "UTC\x00",
        "posixrules",
        "zone.tab",
        "北京",
    ],
)
def test_unknown(name: str) -> None:
    with pytest.raises(UnknownTimeZoneError) as caught:
        load_zone(name)
    assert caught.value.name == name


def test_the_hosts_zone_files_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlyFromFile:
        from_file = zoneinfo.ZoneInfo.from_file

    for cache in (load_zone, zone_names):
        cache.cache_clear()
    monkeypatch.setattr(timezones, "zoneinfo", SimpleNamespace(ZoneInfo=OnlyFromFile))
    assert load_zone("Europe/Berlin").utcoffset(datetime(2024, 7, 1)) == timedelta(hours=2)  # noqa: DTZ001


def test_the_release_is_the_packages() -> None:
    assert re.fullmatch(r"20\d\d[a-z]", tz_release())


def test_without_the_package_the_host_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    caches = (load_zone, zone_names, tz_release)
    monkeypatch.setattr(timezones, "_tz_data", lambda: None)
    for cache in caches:
        cache.cache_clear()
    try:
        assert tz_release() == "system"
        assert load_zone("UTC").key == "UTC"
        with pytest.raises(UnknownTimeZoneError):
            load_zone("../x")
    finally:
        for cache in caches:
            cache.cache_clear()


def test_no_zone_changes_twice_within_one_step_of_the_scan() -> None:
    distances = [after - before for name in zone_names() for before, after in pairwise(_changes_in_file(name))]
    assert len(distances) > 10_000
    assert min(distances) > timezones._SCAN_STEP_SECONDS


def _changes_in_file(name: str) -> list[int]:
    """The changes of offset in a zone file (RFC 8536, the block of 64-bit times)."""
    data = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    utc_flags, std_flags, leaps, times, types, letters = struct.unpack(">6l", data[20:44])
    block = 44 + times * 5 + types * 6 + letters + leaps * 8 + std_flags + utc_flags
    _, _, _, times, types, _ = struct.unpack(">6l", data[block + 20 : block + 44])
    start = block + 44
    whens = struct.unpack(f">{times}q", data[start : start + 8 * times])
    indexes = data[start + 8 * times : start + 9 * times]
    records = start + 9 * times
    offsets = [struct.unpack(">l", data[records + 6 * i : records + 6 * i + 4])[0] for i in range(types)]
    changes, offset = [], None
    for when, index in zip(whens, indexes, strict=True):
        if offsets[index] != offset:
            changes.append(when)
        offset = offsets[index]
    return changes


@settings(deadline=None)
@given(st.sampled_from(sorted(zone_names())), st.integers(-2_000_000_000, 4_000_000_000))
def test_offsets_are_zoneinfos(name: str, second: int) -> None:
    zone = load_zone(name)
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert timedelta(seconds=zone_offsets(zone).offset(second)) == offset


@settings(deadline=None)
@given(st.sampled_from(["America/New_York", "Africa/Casablanca", "Asia/Gaza"]), st.integers(0, 3_000_000_000))
def test_a_span_holds_one_offset_and_ends_where_it_changes(name: str, second: int) -> None:
    offsets = ZoneOffsets(load_zone(name))
    start, end, offset = offsets.span(second)
    assert start <= second < end
    assert {offsets.offset(start), offsets.offset(end - 1), offsets.offset((start + end) // 2)} == {offset}


def test_the_edges_of_the_calendar_have_offsets() -> None:
    for zone in (load_zone("Asia/Tokyo"), timezone(timedelta(hours=-12)), UTC):
        offsets = ZoneOffsets(zone)
        assert offsets.offset(-(10**12)) == offsets.offset(-62_135_000_000)
        assert offsets.offset(10**12) == offsets.offset(253_402_000_000)


@pytest.mark.parametrize(
    "name, wall, expected",
    [
        ("America/New_York", "2024-11-03T01:30", "2024-11-03T05:30"),  # twice: the first pass west of Greenwich
        ("Europe/Berlin", "2024-10-27T02:30", "2024-10-27T01:30"),  # and the second in the east
        ("America/Santiago", "2024-09-08T00:00", "2024-09-08T03:00"),  # never: 23:00 of the day before in the west
        ("Asia/Beirut", "2024-03-31T00:00", "2024-03-30T22:00"),  # and 01:00 in the east
    ],
)
def test_from_wall_clock_to_utc_as_go_does(name: str, wall: str, expected: str) -> None:
    def seconds(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    assert zone_offsets(load_zone(name)).to_utc(seconds(wall)) == seconds(expected)
