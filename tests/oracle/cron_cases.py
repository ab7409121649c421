"""Cron lines, zones and bases for the comparison with robfig/cron; the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cronwright_core.domain.timezones import DAY_SECONDS, EPOCH, load_zone, zone_offsets

# Every kind of rule: no clock changes, both hemispheres, changes at midnight, of 30 minutes and of 2 hours, Ramadan
# rules, negative DST, a day that was skipped, odd offsets, legacy names.
_ZONE_TEXT = """
    UTC Etc/GMT+8 Etc/GMT-14 EST5EDT Asia/Calcutta Asia/Shanghai Asia/Tokyo Asia/Kathmandu Asia/Kolkata Asia/Tehran
    Asia/Kabul Asia/Yangon Asia/Beirut Asia/Amman Asia/Damascus Asia/Gaza Asia/Hebron Asia/Jerusalem Asia/Baku
    Asia/Dhaka Asia/Pyongyang Asia/Famagusta Asia/Omsk Asia/Ulaanbaatar Asia/Kamchatka Asia/Almaty Africa/Cairo
    Africa/Casablanca Africa/El_Aaiun Africa/Johannesburg Africa/Juba Africa/Monrovia Africa/Sao_Tome Africa/Tripoli
    Africa/Windhoek America/New_York America/Chicago America/Denver America/Phoenix America/Los_Angeles
    America/Anchorage America/Halifax America/St_Johns America/Goose_Bay America/Havana America/Santiago
    America/Asuncion America/Sao_Paulo America/Caracas America/Bogota America/Mexico_City America/Tijuana
    America/Nuuk America/Scoresbysund America/Miquelon America/Port-au-Prince America/Grand_Turk
    America/Argentina/Buenos_Aires America/Punta_Arenas Antarctica/Troll Antarctica/Casey Antarctica/Macquarie
    Atlantic/Azores Atlantic/Reykjavik Atlantic/Stanley Australia/Lord_Howe Australia/Sydney Australia/Adelaide
    Australia/Eucla Europe/London Europe/Dublin Europe/Berlin Europe/Lisbon Europe/Moscow Europe/Istanbul
    Europe/Chisinau Europe/Volgograd Indian/Mauritius Pacific/Apia Pacific/Auckland Pacific/Chatham Pacific/Fiji
    Pacific/Easter Pacific/Honolulu Pacific/Kiritimati Pacific/Marquesas Pacific/Norfolk Pacific/Tongatapu
"""
ZONES = tuple(_ZONE_TEXT.split())

# Before 2012 robfig has loops of its own: Apia's missing day, the changes at 00:01 in Goose Bay.
FIRST_YEAR, LAST_YEAR = 2012, 2037
_FIRST = int((datetime(FIRST_YEAR, 1, 2, tzinfo=UTC) - EPOCH).total_seconds())
_LAST = int((datetime(LAST_YEAR, 12, 31, tzinfo=UTC) - EPOCH).total_seconds())

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = {
    3: ["JAN", "feb", "Mar", "APR", "may", "JUN", "jul", "AUG", "sep", "OCT", "nov", "DEC"],
    4: ["SUN", "mon", "Tue", "WED", "thu", "FRI", "sat"],
}
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_WRITTEN = (
    "0 0 * * *",
    "0 */2 * * *",
    "30 9 * * 1-5",
    "0 0 1 * *",
    "0 0 * * 0",
    "30 2 * * *",
    "0 0 29 2 *",
    "30 1 * * *",
)
# Mostly characters that may leave a line valid.
_TYPOS = "0123456789*?,-/+" * 3 + " \t@LW#HRjanMONsunFRI.\xa0\u3000\x1c_"


@dataclass(frozen=True, slots=True)
class Case:
    """One line in one zone from one base (seconds since 1970)."""

    line: str
    zone: str
    base: int


def firing_cases(rng: random.Random, count: int) -> Iterator[Case]:
    """Valid lines: two thirds begin near a clock change of their zone, and mostly fire near the time that it moves."""
    changes = {zone: clock_changes(zone) for zone in ZONES}
    for _ in range(count):
        zone = rng.choice(ZONES)
        if changes[zone] and rng.random() < 0.67:
            change = rng.choice(changes[zone])
            base = change + rng.choice((rng.randint(-7200, 7200), rng.randint(-3 * DAY_SECONDS, DAY_SECONDS)))
            yield Case(_line(rng, around=_wall(zone, change, rng)), zone, base)
        else:
            yield Case(_line(rng, around=None), zone, rng.randint(_FIRST, _LAST))


def mistyped_lines(rng: random.Random, count: int) -> Iterator[str]:
    """Valid lines with one or two characters inserted, dropped or replaced; many stay valid."""
    for _ in range(count):
        text = list(_line(rng, around=None))
        for _ in range(rng.randint(1, 2)):
            position = rng.randrange(len(text) + 1)
            match rng.randrange(3):
                case 0:
                    text.insert(position, rng.choice(_TYPOS))
                case 1:
                    del text[position : position + 1]
                case _:
                    text[position : position + 1] = [rng.choice(_TYPOS)]
        yield "".join(text)


def clock_changes(zone: str) -> list[int]:
    """The UTC seconds at which the offset of the zone changes, within the years of the cases."""
    offsets = zone_offsets(load_zone(zone))
    changes = []
    second = _FIRST
    while second < _LAST:
        _, end, offset = offsets.span(second)
        if offsets.offset(end) != offset:
            changes.append(end)
        second = end
    return changes


def _wall(zone: str, change: int, rng: random.Random) -> tuple[int, int]:
    """A wall-clock (hour, minute) that the change skips or repeats, or one close by."""
    offsets = zone_offsets(load_zone(zone))
    before, after = offsets.offset(change - 1), offsets.offset(change)
    low, high = sorted((change + before, change + after))
    wall = rng.randint(low, high) + rng.choice((0, 0, 0, 1, -1)) * 3600
    return wall % DAY_SECONDS // 3600, wall % 3600 // 60


def _line(rng: random.Random, around: tuple[int, int] | None) -> str:
    kind = rng.random()
    if kind < 0.04:
        return rng.choice(_MACROS)
    if kind < 0.08:
        return rng.choice(_WRITTEN)
    fields = [_field(rng, position) for position in range(5)]
    if around is not None and rng.random() < 0.8:
        fields[1] = rng.choice((str(around[0]), str(around[0]), f"*/{rng.choice((2, 3, 4, 6))}", "*", fields[1]))
        fields[0] = rng.choice((str(around[1]), "0", "30", "*/15", "*", fields[0]))
    if rng.random() < 0.6:
        fields[3] = "*"
    if rng.random() < 0.35:
        fields[2] = "*"
    if rng.random() < 0.35:
        fields[4] = "*"
    return " ".join(fields)


def _field(rng: random.Random, position: int) -> str:
    return ",".join(_item(rng, position) for _ in range(rng.choice((1, 1, 1, 1, 2, 3))))


def _item(rng: random.Random, position: int) -> str:
    low, high = _BOUNDS[position]
    start = rng.randint(low, high)
    end = rng.randint(start, high)
    step = rng.choice((1, 2, 3, 5, 7, 10, 15, 40, 100))
    text = rng.choice(
        (
            *("*", "?", f"*/{step}", f"?/{step}", f"{start}", f"{start}", f"{start}", f"{start:02}"),
            *(f"{start}-{end}", f"{start}-{end}/{step}", f"{start}/{step}", f"+{start}"),
        )
    )
    if position in _NAMES and rng.random() < 0.2:
        first, last = _NAMES[position][start - low], _NAMES[position][end - low]
        text = rng.choice((first, f"{first}-{last}", f"{first}-{end}"))
    return text
