"""The API over fakes, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.api import Host, World, started_host


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    with started_host() as started:
        yield started


@pytest.fixture
def world(tmp_path: Path, host: Host) -> Iterator[World]:
    keys = tmp_path / "keys"
    keys.mkdir()
    with World(keys).started(host) as started:
        yield started
