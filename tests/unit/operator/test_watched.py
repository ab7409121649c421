"""Which namespaces are served: named ones, all, or all but some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from cronwright_core.kube.ports import Listing, WatchEvent
from cronwright_core.kube.resources import JOBS, Resource
from cronwright_operator.settings import OperatorSettings
from cronwright_operator.watched import AllBut, WithoutNamespaces, is_watched


class Recording:
    """Remembers the field selector of each call."""

    def __init__(self) -> None:
        self.selectors: list[str] = []

    async def list(self, resource: Resource, namespace: str | None, **options: Any) -> Listing:
        self.selectors.append(options["field_selector"])
        return Listing([], "1")

    async def watch(
        self, resource: Resource, namespace: str | None, **options: Any
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        self.selectors.append(options["field_selector"])
        yield [WatchEvent("BOOKMARK", {})]


def asked(ignored: tuple[str, ...], namespace: str | None, selector: str = "") -> list[str]:
    client = Recording()
    lists = WithoutNamespaces(client, ignored)

    async def ask() -> None:
        await lists.list(JOBS, namespace, field_selector=selector)
        async for _ in lists.watch(JOBS, namespace, resource_version="1", field_selector=selector):
            pass

    asyncio.run(ask())
    return client.selectors


@pytest.mark.parametrize(
    ("ignored", "namespace", "selector", "expected"),
    [
        ((), None, "", ""),
        (("b", "a"), None, "", "metadata.namespace!=a,metadata.namespace!=b"),
        (("a",), None, "status.phase=Running", "status.phase=Running,metadata.namespace!=a"),
        (("a",), "x", "", ""),
    ],
)
def test_the_api_server_leaves_them_out(
    ignored: tuple[str, ...], namespace: str | None, selector: str, expected: str
) -> None:
    assert asked(ignored, namespace, selector) == [expected, expected]


def test_what_is_watched() -> None:
    assert is_watched((None,), "a")
    assert is_watched(("a", "b"), "a")
    assert not is_watched(("a", "b"), "c")
    assert is_watched(AllBut(()), "a")
    assert is_watched(AllBut(("b",)), "a")
    assert not is_watched(AllBut(("b",)), "b")


def test_settings_give_both_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("CRONWRIGHT_IGNORE_NAMESPACES", "a, b,")
    settings = OperatorSettings()
    assert (settings.namespaces, settings.ignored_namespaces) == ((), ("a", "b"))
