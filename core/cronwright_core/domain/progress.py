"""How far a running program says it is: in a line of its output, or in the annotation of its Pod. Pure.

In output it takes the word `progress` or `进度` and a percentage behind it, or a line that is a JSON object: a bare
percentage would take the use of a disk for progress. An annotation needs no such word, as it can mean nothing else.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

STEP_LENGTH = 200
MAX_LINE_LENGTH = 16 * 1024
"""Longer lines are data, not a message."""

# Runs of blanks are bounded: a program may print anything, and two free runs side by side would take their square.
_PERCENT = r"(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,6})?)\s{0,4}[%％]"
_SAID = re.compile(
    rf"(?P<before>.*?)(?:(?<![a-z_])progress(?![a-z_])|进度)\s{{0,4}}(?:[:：=]|is\b|为|已达)?\s{{0,4}}{_PERCENT}(?P<after>.*)",
    re.IGNORECASE | re.DOTALL,
)
_FIGURE_FIRST = re.compile(rf"{_PERCENT}(?P<after>.*)", re.DOTALL)
_FIGURE = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_DATE = r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:\s?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)"
_PREFIX = re.compile(
    rf"\s*(?:[\[(]?{_DATE}(?:[T ]+{_CLOCK})?[\])]?|[\[(]?{_CLOCK}[\])]?"
    rf"|{_LEVEL}:[\w.-]+:|[\[(<]{_LEVEL}\s*[\])>]:?|{_LEVEL}\b:?)[\s|:-]*",
    re.IGNORECASE,
)
_EDGES = " \t\r\n-–—:：|,，;；.。=>()（）[]【】"
_EMPTY_WORDS = frozenset(
    ("complete", "completed", "done", "完成", "已完成", "current", "overall", "total", "当前", "总", "总体", "整体")
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What attempt number `attempt` has said of itself so far: `percent` is 0-100; None: it has not said that.

    A later attempt begins anew: its `Progress` without step and percent takes the place of an earlier attempt's.
    """

    attempt: int
    step: str | None = None
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One statement: a step (at most `STEP_LENGTH` characters), a percentage (0-100, fractions cut), or both."""

    step: str | None = None
    percent: int | None = None

    def over(self, earlier: Said | None) -> Said:
        """This statement, and what an earlier one said beyond it."""
        if earlier is None:
            return self
        step = earlier.step if self.step is None else self.step
        return Said(step, earlier.percent if self.percent is None else self.percent)


def parse_line(line: str) -> Said | None:
    """What a line of output says: `progress: 65% copying`, `数据处理进度: 50%`, `{"progress": 65, "step": "copying"}`.

    The step is the text before the figure, without time stamp and level, else the text behind it. Of a line that a
    carriage return rewrites, the last state counts. None: it says nothing of progress.
    """
    if len(line) > MAX_LINE_LENGTH:
        return None
    text = line.strip().rpartition("\r")[2]
    if text.startswith("{"):
        return _from_json(text, needs_percent=True)
    return _from_text(text)


def parse_annotation(text: str) -> Said | None:
    """What the annotation `cronwright.dev/progress` says: all that `parse_line` reads, `65`, `65% copying`, `copying`.

    None: it says nothing, or cannot be read.
    """
    text = text.strip()[:MAX_LINE_LENGTH]
    if text.startswith("{"):
        return _from_json(text, needs_percent=False)
    said = _from_text(text)
    if said is not None:
        return said
    match = _FIGURE_FIRST.fullmatch(text)
    if match is not None:
        percent = _percent(match["percent"])
        return None if percent is None else Said(_step(match["after"]), percent)
    if _FIGURE.fullmatch(text):
        percent = _percent(text)
        return None if percent is None else Said(None, percent)
    step = _step(text)
    return Said(step) if step else None


def _from_text(text: str) -> Said | None:
    match = _SAID.fullmatch(text)
    if match is None:
        return None
    percent = _percent(match["percent"])
    if percent is None:
        return None
    return Said(_step(match["before"]) or _step(match["after"]), percent)


def _from_json(text: str, *, needs_percent: bool) -> Said | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    percent = _percent(value.get("progress", value.get("progress_percent")))
    step = value.get("step", value.get("current_step"))
    step = _step(step) if isinstance(step, str) else None
    if percent is not None or (step and not needs_percent):
        return Said(step, percent)
    # Structured logs: the message is a line like any other.
    message = value.get("message", value.get("msg"))
    return _from_text(message.strip()) if isinstance(message, str) else None


def _percent(value: Any) -> int | None:
    """Whole percents, cut and not rounded, so that 100 means done. None if it is no number within 0-100."""
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%％"))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return math.floor(value)


def _step(text: str) -> str | None:
    while match := _PREFIX.match(text):
        text = text[match.end() :]
    text = " ".join(text.split()).strip(_EDGES)
    return None if text.lower() in _EMPTY_WORDS else text[:STEP_LENGTH].strip() or None
