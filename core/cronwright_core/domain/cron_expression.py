"""The grammar of cron lines: robfig/cron's `ParseStandard`, which Kubernetes uses, with day of week 7 on top.

A line is read here as Kubernetes would read it, or refused; `canonical` is the text to put into a CronJob. Day of week
7 is rewritten to 0 before robfig's grammar sees it, as robfig knows 0-6 only. The *star marks* decide how the two day
fields combine: a `*` or `?` (without a step beyond 1) in either makes both count, otherwise one of them is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache

from cronwright_core.domain.cron_errors import FIELD_RANGES, CronSyntaxError

# Unicode white space as Go's `strings.Fields` cuts it; Python's `split()` would also cut at \x1c-\x1f.
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANKS = re.compile(f"[{_WHITE_SPACE}]+")
_NUMBER = re.compile(r"\+?[0-9]+")
_LAST_NUMBER = 2**63 - 1

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTH_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)}
_WEEKDAY_NAMES = {name: number for number, name in enumerate(_WEEKDAYS)}
_NAMES = {"month": _MONTH_NAMES, "day_of_week": _WEEKDAY_NAMES}

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST_MONTH = {month: 31 - (month in (4, 6, 9, 11)) - 2 * (month == 2) for month in range(1, 13)}


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron line as sets: bit n of a field is set if the value n is in it (`dow`: 0 = Sunday to 6).

    `dom_star`/`dow_star` are the star marks. `canonical` is the line for `spec.schedule` of a CronJob: single blanks, 7
    written as 0. `fires` says whether any date of the calendar and any time of the day match: False for `0 0 30 2 *` or
    `, * * * *`, which Kubernetes takes and never runs.
    """

    minute: int
    hour: int
    dom: int
    month: int
    dow: int
    dom_star: bool
    dow_star: bool
    canonical: str
    fires: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fires", self._matches_anything())

    def matches_date(self, day: date) -> bool:
        """Whether the line fires on this local date, its month included."""
        return bool(self.month >> day.month & 1) and self.matches_day(day)

    def matches_day(self, day: date) -> bool:
        """The test of the two day fields alone."""
        dom = self.dom >> day.day & 1
        dow = self.dow >> day.isoweekday() % 7 & 1
        if self.dom_star or self.dow_star:
            return bool(dom and dow)
        return bool(dom or dow)

    def _matches_anything(self) -> bool:
        if not (self.minute and self.hour and self.month):
            return False
        by_date = any(
            self.dom >> day & 1
            for month, length in _LONGEST_MONTH.items()
            if self.month >> month & 1
            for day in range(1, length + 1)
        )
        if self.dom_star or self.dow_star:
            return by_date and bool(self.dow)
        return by_date or bool(self.dow)


@lru_cache(maxsize=16_384)
def parse_cron(text: str) -> CronExpression:
    """Reads a cron line; white space around it does not count. Kept, as an operator reads each task's at every look.

    A line that is accepted may still never fire (see `CronExpression.fires`), as in Kubernetes.

    Raises:
        CronSyntaxError: Kubernetes would refuse the line (after day of week 7 became 0), or it is an `@every`.
    """
    line = _BLANKS.sub(" ", text).strip(" ")
    if not line:
        raise CronSyntaxError("empty", line=line, value="")
    # The API server refuses any schedule with these two letters; robfig alone would read `TZ=Asia/Tokyo 0 9 * * *`.
    if "TZ" in line:
        raise CronSyntaxError("time_zone_inside", line=line, value=line)
    if line.startswith("@"):
        return _parse_macro(line)
    return _parse_fields(line, line.split(" "))


def _parse_macro(line: str) -> CronExpression:
    if line.split(" ")[0] == "@every":
        raise CronSyntaxError("every_refused", line=line, value=line)
    if line not in _MACROS:
        raise CronSyntaxError("unknown_macro", line=line, value=line)
    return replace(_parse_fields(line, _MACROS[line].split(" ")), canonical=line)


def _parse_fields(line: str, fields: list[str]) -> CronExpression:
    if len(fields) != len(FIELD_RANGES):
        raise CronSyntaxError("field_count", line=line, value=str(len(fields)))
    *others, weekdays = fields
    weekdays = ",".join(_without_seven(item) for item in weekdays.split(","))
    fields = [*others, weekdays]
    sets = [_Field(line, name).parse(text) for name, text in zip(FIELD_RANGES, fields, strict=True)]
    (minute, _), (hour, _), (dom, dom_star), (month, _), (dow, dow_star) = sets
    return CronExpression(minute, hour, dom, month, dow, dom_star, dow_star, canonical=" ".join(fields))


@dataclass(frozen=True, slots=True)
class _Field:
    """Reads one field; knows the line for its messages."""

    line: str
    name: str

    def parse(self, text: str) -> tuple[int, bool]:
        """(set, star mark). Empty items count for nothing, so a field of commas is an empty set."""
        values, star = 0, False
        for item in text.split(","):
            if item:
                item_values, item_star = self._parse_item(item)
                values |= item_values
                star = star or item_star
        return values, star

    def _parse_item(self, item: str) -> tuple[int, bool]:
        low, highest = FIELD_RANGES[self.name]
        # A 7 that robfig could understand is a 0 by now; what is left of them is out of order (`7-3`).
        high = 6 if self.name == "day_of_week" else highest
        span, *steps = item.split("/")
        first, *rest = span.split("-")
        star = first in ("*", "?")
        if star:
            # robfig does not look behind a star: `*-5` is `*`.
            start, end = low, high
        elif len(rest) > 1:
            raise self._error("bad_range", span)
        else:
            start = self._value(first, item)
            end = self._value(rest[0], item) if rest else start
        if len(steps) > 1:
            raise self._error("bad_step", "/".join(steps))
        step = self._step(steps[0]) if steps else 1
        if steps and not rest:
            end = high
        if start < low or max(start, end if rest else start) > highest:
            raise self._error("out_of_range", item)
        if start > end:
            raise self._error("reversed_range", item)
        return sum(1 << value for value in range(start, end + 1, step)), star and step == 1

    def _value(self, text: str, item: str) -> int:
        named = _NAMES.get(self.name, {}).get(text.lower()) if text.isascii() else None
        if named is not None:
            return named
        number = _number(text)
        if number is None:
            raise self._error("not_a_number", item)
        return number

    def _step(self, text: str) -> int:
        number = _number(text)
        if not number:
            raise self._error("bad_step", text)
        return number

    def _error(self, code: str, value: str) -> CronSyntaxError:
        return CronSyntaxError(code, line=self.line, field=self.name, value=value)


def _number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    # Bounded before int(): a long run of digits must not cost time, nor meet Python's limit of 4300 digits.
    digits = text.lstrip("+").lstrip("0") or "0"
    if len(digits) > len(str(_LAST_NUMBER)):
        return None
    number = int(digits)
    return number if number <= _LAST_NUMBER else None


def _without_seven(item: str) -> str:
    """One item of the day-of-week field with 7 written as 0; what robfig understands, or refuses, by itself stays.

    Never becomes `*`: a star mark would turn "date or weekday" into "date and weekday".
    """
    span, *steps = item.split("/")
    first, *rest = span.split("-")
    if len(steps) > 1 or len(rest) > 1:
        return item
    step = _number(steps[0]) if steps else 1
    if not step:
        return item
    start = _weekday(first)
    end = _weekday(rest[0]) if rest else start
    if start == 7 and end == 7:
        return "0"
    if start is None or end != 7 or start > 7:
        return item
    if steps:
        days = (str(day % 7) for day in range(start, 8, step))
        return ",".join(dict.fromkeys(days))
    return f"{first}-6" if start == 0 else f"{first}-6,0"


def _weekday(text: str) -> int | None:
    named = _WEEKDAY_NAMES.get(text.lower()) if text.isascii() else None
    return _number(text) if named is None else named
