"""What an operator leaves alone while another installation works on its database."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any
from unittest.mock import MagicMock

import pytest

from cronwright_core.domain.errors import Message, Unavailable
from cronwright_core.store.records.system import Heartbeat
from cronwright_operator.launching.clock import system_now
from cronwright_operator.running import Operator
from cronwright_operator.settings import OperatorSettings
from cronwright_operator.upkeep.installation import SILENCE
from cronwright_operator.wiring import Parts

OTHER = Heartbeat(
    holder="their-operator", version="1", time=system_now(), tz_release="2026f", details={}, installation="their-lease"
)


class Heartbeats:
    """The one row: whose it is, and what was asked for."""

    def __init__(self) -> None:
        self.other: Heartbeat | None = None
        self.away = False
        self.asked: list[dict[str, Any]] = []

    def beat(self, **asked: Any) -> Heartbeat | None:
        self.asked.append(asked)
        if self.away:
            raise Unavailable(Message("数据库不可用", "the database does not answer"))
        return self.other


class World:
    """An operator over nothing; only that its sweeps ran is told."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.heartbeats = Heartbeats()
        self.parts = Parts(OperatorSettings(), MagicMock(), None)
        self.parts.heartbeats = self.heartbeats  # type: ignore[assignment]
        self.parts.leadership._installation = "our-lease"
        for name in ("reconciliation", "orphans", "retention"):
            getattr(self.parts, name).sweep = self._sweep(name)
        self.operator = Operator(self.parts)

    def _sweep(self, name: str) -> Any:
        async def sweep() -> None:
            self.ran.append(name)

        return sweep

    def sweep(self) -> list[str]:
        """Every sweep of an hour, once."""
        self.ran.clear()
        for _, sweep in self.operator._sweeps():
            asyncio.run(sweep())
        return self.ran

    def metric(self) -> float | None:
        value: float | None = self.parts.metrics.registry.get_sample_value("cronwright_database_shared")
        return value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("POD_NAME", "our-operator")
    return World()


def test_alone_it_sweeps_and_gives_its_sign_of_life_with_its_name(world: World) -> None:
    assert world.sweep() == ["reconciliation", "orphans", "retention"]
    asked = world.heartbeats.asked[-1]
    assert (asked["installation"], asked["holder"]) == ("our-lease", "our-operator")
    assert asked["details"].keys() >= {"tasks", "queued", "usage"}
    now: datetime = asked["now"]
    assert asked["silent_before"] == now - SILENCE
    assert world.metric() == 0


def test_beside_another_installation_nothing_is_ended_or_deleted_and_that_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.heartbeats.other = OTHER
    with caplog.at_level(logging.INFO):
        assert world.sweep() == []
        assert world.sweep() == []
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "their-lease" in told.getMessage()
    assert "their-operator" in told.getMessage()
    assert world.metric() == 1


def test_once_the_other_is_silent_it_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.heartbeats.other = OTHER
    world.sweep()
    world.heartbeats.other = None
    with caplog.at_level(logging.INFO):
        assert world.sweep() == ["reconciliation", "orphans", "retention"]
    assert [record.levelname for record in caplog.records if "alone" in record.getMessage()] == ["INFO"]
    assert world.metric() == 0


def test_while_nobody_can_say_whose_database_it_is_nothing_is_swept(world: World) -> None:
    world.heartbeats.away = True
    for _, sweep in world.operator._sweeps():
        with pytest.raises(Unavailable):
            asyncio.run(sweep())
    assert world.ran == []
