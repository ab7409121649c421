"""The order of tests that mostly wait: the longest begin first, each on a worker of its own, so that none is left over
when all else is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest

Item = TypeVar("Item")

UNMARKED_SECONDS = 5.0


def order(items: list[pytest.Item], workers: int) -> None:
    """Puts pytest's items into the order; `@pytest.mark.takes(seconds)` says about how long a test takes."""
    items[:] = deal(items, [_seconds(item) for item in items], workers)


def deal(items: Sequence[Item], seconds: Iterable[float], workers: int) -> list[Item]:
    """Deals the items out, the longest first, and returns the workers' hands one after another.

    pytest-xdist's `worksteal` gives each worker a stretch of the list, and lets who is done take from the end of
    another's. The stretches are of the length that it gives them.
    """
    longest_first = [item for _, item in sorted(zip(seconds, items, strict=True), key=lambda pair: -pair[0])]
    for_all = len(items) // workers * workers
    hands = [longest_first[worker:for_all:workers] for worker in range(workers)]
    # What is left over after whole rounds goes to the last ones: theirs are the longer stretches.
    for hand, item in zip(reversed(hands), reversed(longest_first[for_all:]), strict=False):
        hand.append(item)
    return [item for hand in hands for item in hand]


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("takes")
    return float(mark.args[0]) if mark is not None else UNMARKED_SECONDS
