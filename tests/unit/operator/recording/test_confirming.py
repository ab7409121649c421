"""Which two reads of an ended container's log agree: one by itself proves nothing, as it may have been cut off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cronwright_operator.recording.confirming import (
    SMALL,
    Reading,
    Shown,
    confirms_end,
    confirms_rotation,
    same_lines,
    since_time_after,
)


def read(**changes: Any) -> Reading:
    """A read of the whole file that showed ten lines, the last stored one among them."""
    own = {name: changes.pop(name) for name in ("since_time", "rest", "grown", "shown") if name in changes}
    position = SimpleNamespace(since_time=lambda: "the last line's")
    fields = {
        "anchored": True,
        "overtaken": False,
        "complaint": None,
        "seen_lines": 10,
        "passed": 10,
        "position": position,
        **changes,
    }
    splitter: Any = SimpleNamespace(**fields)
    return Reading(**{"since_time": None, **own}, splitter=splitter)


CUT = {"anchored": False}
EMPTY = {"anchored": False, "seen_lines": 0, "passed": 0}
COMPLAINT = {"anchored": False, "complaint": "unable to retrieve container logs"}


@pytest.mark.parametrize(
    ("before", "now", "confirmed"),
    [
        ({}, {}, True),
        ({"rest": b"half"}, {"rest": b"half"}, True),
        ({"rest": b"half"}, {"rest": b"half a line"}, False),
        ({}, {"grown": True}, False),
        (CUT, {}, False),
        ({}, CUT, False),
        (EMPTY, EMPTY, True),
        (EMPTY, CUT, False),
        (CUT, EMPTY, False),
        ({**EMPTY, "rest": b"half"}, {**EMPTY, "rest": b"half"}, False),
        (COMPLAINT, COMPLAINT, True),
        (COMPLAINT, CUT, False),
        (CUT, COMPLAINT, False),
        (CUT, CUT, False),
    ],
)
def test_the_end_is_where_two_reads_show_it(before: dict[str, Any], now: dict[str, Any], confirmed: bool) -> None:
    assert confirms_end(read(**before), read(**now)) is confirmed


LATER = {"anchored": False, "overtaken": True}
SINCE = {"since_time": "2026-03-02T10:00:00Z"}


@pytest.mark.parametrize(
    ("before", "now", "confirmed"),
    [
        (LATER, LATER, True),
        ({**LATER, **SINCE}, {**LATER, **SINCE}, True),
        (LATER, {}, False),
        ({}, LATER, False),
        ({**LATER, **SINCE}, {**CUT, **SINCE}, False),
        ({**CUT, **SINCE}, {**LATER, **SINCE}, False),
        # The clock was set back, so nothing in the file is later: then both must show the same whole file.
        (CUT, CUT, True),
        ({**CUT, **SINCE}, CUT, False),
        (CUT, {**CUT, **SINCE}, False),
        (CUT, {**CUT, "passed": 9}, False),
        (CUT, {**CUT, "rest": b"half"}, False),
        (EMPTY, EMPTY, False),
    ],
)
def test_a_rotation_is_one_that_two_reads_show(before: dict[str, Any], now: dict[str, Any], confirmed: bool) -> None:
    assert confirms_rotation(read(**before), read(**now)) is confirmed


def test_a_small_log_is_kept_whole_and_a_larger_one_not_at_all() -> None:
    shown = Shown()
    for chunk in (b"one\n", b"two\n"):
        shown.take(chunk)
    assert shown.data == b"one\ntwo\n"
    shown.take(b"x" * (SMALL - 8))
    assert shown.data is not None
    for _ in range(2):
        shown.take(b"x")
        assert shown.data is None


@pytest.mark.parametrize(
    ("before", "whole", "since"),
    [
        (SINCE, False, "the last line's"),
        (SINCE, True, None),
        ({**SINCE, **CUT}, False, None),
        ({}, False, None),
        ({"shown": Shown(None)}, False, "the last line's"),
        (CUT, False, "the last line's"),
    ],
    ids=[
        "the end again",
        "asked for whole",
        "cut off",
        "a small one whole",
        "a large one's end",
        "a whole one, cut off",
    ],
)
def test_what_the_next_read_begins_with(before: dict[str, Any], whole: bool, since: str | None) -> None:
    assert since_time_after(read(**before), whole=whole) == since


@pytest.mark.parametrize(
    ("changes", "together", "same"),
    [
        ({}, b"b\na\nc", True),
        ({}, b"b\na\n", False),
        ({}, b"b\na\nc\n", False),
        ({}, None, False),
        ({"shown": Shown(None)}, b"b\n", False),
        (SINCE, b"b\na\nc", False),
        (CUT, b"b\na\nc", False),
    ],
)
def test_two_streams_apart_show_what_both_together_do(
    changes: dict[str, Any], together: bytes | None, same: bool
) -> None:
    apart = (read(shown=Shown(b"a\nc")), read(**{"shown": Shown(b"b\n"), **changes}))
    assert same_lines(apart, together) is same
