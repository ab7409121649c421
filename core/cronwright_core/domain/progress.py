"""How far a running program says it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """What attempt number `attempt` has said of itself so far: `percent` is 0-100; None: it has not said that.

    A later attempt begins anew: its `Progress` without step and percent takes the place of an earlier attempt's.
    """

    attempt: int
    step: str | None = None
    percent: int | None = None
