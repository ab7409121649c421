"""When a cron line fires: robfig/cron's own rule, which Kubernetes uses, over whole UTC seconds.

No Python library gives the same answers where clocks change (docs/adr/0004), so the loop of robfig's
`SpecSchedule.Next` is written out here: month, day, hour and minute are sought one after the other, and a field that
wraps around sends the search back to the month. Because the day is tested again only after an hour reached 0, the
answer beside a clock change depends on the base; always pass the base that the CronJob controller has. Where the zone's
offset is constant the search skips ahead; the result is the same, the oracle test says so.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

from cronwright_core.domain.cron_errors import CronSyntaxError
from cronwright_core.domain.cron_expression import CronExpression, parse_cron
from cronwright_core.domain.timezones import DAY_SECONDS, EPOCH, ZoneOffsets, zone_offsets

__all__ = ["CronExpression", "CronSyntaxError", "next_tick", "parse_cron"]

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
HOUR_SECONDS = 3600
MINUTE_SECONDS = 60
_YEARS_AHEAD = 5
# The local year after the last one searched must still be a `date`.
_LAST_YEAR = 9998
# A search of five years takes fewer than a hundred steps. robfig loops for ever in Pacific/Apia at the end of 2011.
_MAX_STEPS = 5_000


class _TooManySteps(Exception):
    """The search does not get on: the zone has a day that does not exist."""


@lru_cache(maxsize=4096)
def next_tick(expr: CronExpression, base: datetime, zone: tzinfo) -> datetime | None:
    """The first time strictly after `base` that the line fires in `zone`: UTC, a whole minute of the local clock.

    A time that the clock skips does not fire; one that it shows twice fires twice. None: nothing within robfig's limit,
    the fifth calendar year after the base's.

    Raises:
        ValueError: `base` is not aware.
    """
    if base.tzinfo is None:
        raise ValueError("base must be an aware datetime")
    if not expr.fires:
        return None
    base_second = (base - EPOCH) // timedelta(seconds=1)
    offsets = zone_offsets(zone)
    try:
        second = _next_second(expr, base_second, offsets)
        if second is not None and second <= base_second:
            second = _next_second_onward(expr, base_second, offsets)
    except _TooManySteps:
        return None
    return None if second is None else EPOCH + timedelta(seconds=second)


class _Cursor:
    """A UTC second with its wall clock. `wall` counts local seconds as if they were UTC ones."""

    __slots__ = ("_end", "_offset", "_offsets", "_start", "_steps", "reset", "second", "wall")

    def __init__(self, offsets: ZoneOffsets, second: int) -> None:
        self._offsets = offsets
        self._start, self._end, self._offset = offsets.span(second)
        self._steps = 0
        self.second = second
        self.wall = second + self._offset
        # robfig's `added`: the smaller parts were set to their beginning, once in a search.
        self.reset = False

    @property
    def date(self) -> date:
        return date.fromordinal(self.wall // DAY_SECONDS + EPOCH_ORDINAL)

    @property
    def hour(self) -> int:
        return self.wall % DAY_SECONDS // HOUR_SECONDS

    @property
    def minute(self) -> int:
        return self.wall % HOUR_SECONDS // MINUTE_SECONDS

    def move(self, second: int) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise _TooManySteps
        self.second = second
        if not self._start <= second < self._end:
            self._start, self._end, self._offset = self._offsets.span(second)
        self.wall = second + self._offset

    def move_to_wall(self, wall: int) -> None:
        self.move(self._offsets.to_utc(wall))

    def skip(self, seconds: int, *, margin: int = 0) -> bool:
        """Moves ahead if the offset stays the same up to there (and for `margin` beyond); else stays, says False."""
        if self.second + seconds + margin >= self._end:
            return False
        self.move(self.second + seconds)
        return True


def _next_second(expr: CronExpression, base_second: int, offsets: ZoneOffsets) -> int | None:
    cursor = _Cursor(offsets, base_second + 1)
    last_year = min(cursor.date.year + _YEARS_AHEAD, _LAST_YEAR)
    while cursor.date.year <= last_year:
        wrapped = (
            _seek_month(cursor, expr)
            or _seek_day(cursor, expr)
            or _seek_hour(cursor, expr)
            or _seek_minute(cursor, expr)
            or _seek_full_minute(cursor)
        )
        if not wrapped:
            return cursor.second
    return None


def _next_second_onward(expr: CronExpression, base_second: int, offsets: ZoneOffsets) -> int | None:
    """The answer where robfig's falls back behind its own base: minute by minute until it is past the clock change.

    That is so after a change that is not of whole hours (`* 3 * * *` in Pacific/Chatham each autumn, Goose_Bay before
    2011): the begin of the hour may lie in the first pass of the overlap. robfig would give the same times for ever.
    """
    cursor = _Cursor(offsets, base_second + 1)
    while True:
        _seek_full_minute(cursor)
        if expr.matches_date(cursor.date) and expr.hour >> cursor.hour & 1 and expr.minute >> cursor.minute & 1:
            return cursor.second
        second = _next_second(expr, cursor.second, offsets)
        if second is None or second > base_second:
            return second
        cursor.move(cursor.second + MINUTE_SECONDS)


# Each of these moves the cursor to the next value of its field that is in the set. True: the field wrapped around on
# the way, and the search begins again.


def _seek_month(cursor: _Cursor, expr: CronExpression) -> bool:
    while not expr.month >> (today := cursor.date).month & 1:
        if not cursor.reset:
            cursor.reset = True
            cursor.move_to_wall(_midnight(today.replace(day=1)))
            today = cursor.date
        # As Go's AddDate: the same day of the next month, and a day too many runs on into the month after.
        following = date(today.year + today.month // 12, today.month % 12 + 1, 1)
        cursor.move_to_wall(_midnight(following) + (today.day - 1) * DAY_SECONDS + cursor.wall % DAY_SECONDS)
        if cursor.date.month == 1:
            return True
    return False


def _seek_day(cursor: _Cursor, expr: CronExpression) -> bool:
    while not expr.matches_day(cursor.date):
        if not cursor.reset:
            cursor.reset = True
            cursor.move_to_wall(cursor.wall - cursor.wall % DAY_SECONDS)
        # A day of margin, since to_utc() looks at the offset up to that far from the time it returns.
        ahead = _days_ahead(cursor.date, expr)
        if cursor.hour != 0 or not cursor.skip(ahead * DAY_SECONDS, margin=DAY_SECONDS):
            cursor.move_to_wall(cursor.wall + DAY_SECONDS)
            hour = cursor.hour
            if hour > 12:
                cursor.move(cursor.second + (24 - hour) * HOUR_SECONDS)
            elif hour:
                cursor.move(cursor.second - hour * HOUR_SECONDS)
        if cursor.date.day == 1:
            return True
    return False


def _seek_hour(cursor: _Cursor, expr: CronExpression) -> bool:
    while not expr.hour >> (hour := cursor.hour) & 1:
        if not cursor.reset:
            cursor.reset = True
            cursor.move_to_wall(cursor.wall - cursor.wall % HOUR_SECONDS)
            hour = cursor.hour
        if not cursor.skip(_distance(expr.hour, hour, 24) * HOUR_SECONDS):
            cursor.move(cursor.second + HOUR_SECONDS)
        if cursor.hour == 0:
            return True
    return False


def _seek_minute(cursor: _Cursor, expr: CronExpression) -> bool:
    while not expr.minute >> cursor.minute & 1:
        if not cursor.reset:
            cursor.reset = True
            cursor.move(cursor.second - cursor.second % MINUTE_SECONDS)
        if not cursor.skip(_distance(expr.minute, cursor.minute, 60) * MINUTE_SECONDS):
            cursor.move(cursor.second + MINUTE_SECONDS)
        if cursor.minute == 0:
            return True
    return False


def _seek_full_minute(cursor: _Cursor) -> bool:
    seconds = cursor.wall % MINUTE_SECONDS
    if not seconds:
        return False
    cursor.reset = True
    cursor.move(cursor.second + MINUTE_SECONDS - seconds)
    return True


def _midnight(day: date) -> int:
    return (day.toordinal() - EPOCH_ORDINAL) * DAY_SECONDS


def _distance(values: int, value: int, size: int) -> int:
    """How far the next value of the set is, at most to the field's wrap-around."""
    later = values >> value + 1
    return (later & -later).bit_length() if later else size - value


def _days_ahead(day: date, expr: CronExpression) -> int:
    """How far the next matching day of the month is, at most to the first of the next month."""
    for ahead in range(1, 32):
        following = day + timedelta(days=ahead)
        if following.day == 1 or expr.matches_day(following):
            return ahead
    raise AssertionError("a month has no more than 31 days")
