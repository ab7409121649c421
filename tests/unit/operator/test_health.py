"""Liveness is about the watches: a process that answers and hears nothing decides on an old picture."""

from __future__ import annotations

from cronwright_operator.health import STALE_SECONDS, judge_watches


def test_watches_that_are_heard_of_are_healthy() -> None:
    assert judge_watches({"pods": 59.0, "jobs": STALE_SECONDS}, kopf_watches=True).problems == ()


def test_one_silent_watch_is_enough() -> None:
    health = judge_watches({"pods": 1.0, "jobs": STALE_SECONDS + 1}, kopf_watches=True)
    assert health.problems == ("the watch of jobs has heard nothing for 181 s",)


def test_kopf_must_watch_too() -> None:
    assert judge_watches({"pods": 1.0}, kopf_watches=False).problems == ("kopf does not watch",)
