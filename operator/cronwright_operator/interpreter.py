"""How the process uses its interpreter."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine

import uvloop

_SWITCH_SECONDS = 0.0005
_NEW_OBJECTS, _YOUNG_ROUNDS = 20_000, 50


def share() -> None:
    """Lets threads that come back from PostgreSQL go on soon, for the whole process.

    By default they wait 5 ms for a thread that computes, after each of the seven answers of a transaction.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def collect_less() -> None:
    """Looks for unreachable cycles after 20 000 new objects instead of 700.

    What is made here by the thousand - JSON of the API server, facts, decisions - holds no cycles and is freed when the
    last reference goes; to go through it took 0.4 s of the four in which 1000 Jobs were made (gc.callbacks).
    """
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, gc.get_threshold()[2])


def run(main: Coroutine[object, object, None]) -> None:
    """Runs `main` in an event loop of its own until it ends, as `asyncio.run` does.

    uvloop's loop, whose TLS is compiled and not Python: every byte to and from the API server goes through it.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
