"""The comparison that the walk through the customer's document rests on: it must find what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from support.conformity import Comparison

EXAMPLE = {
    "id": 1,
    "name": "sync",
    "log": "/logs/exec-1/out",
    "rate": 0.94,
    "at": "2024-01-01T02:00:00Z",
    "day": "2024-01-01",
    "active": True,
    "note": None,
    "lines": ["a", "b"],
    "items": [{"count": 3}],
}
ANSWER = {
    **EXAMPLE,
    "id": 77,
    "log": "/logs/exec-9/out",
    "rate": 1.0,
    "at": "2026-11-24T00:00:01Z",
    "day": "2026-11-24",
    "items": [{"count": 0}, {"count": 9}],
    "extra": 1,
}
COMPARISON = Comparison(
    texts={"exec-1": "exec-9"}, values={"id": 77}, measured={"rate", "at", "day", "count"}, nullable={"rate", "items"}
)


def test_what_conforms() -> None:
    assert COMPARISON.differences(EXAMPLE, ANSWER) == []
    assert COMPARISON.differences(EXAMPLE, {**ANSWER, "rate": None, "items": None}) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": 78}, ".id"),
        ({"id": "77"}, ".id"),
        ({"id": 77.0}, ".id"),
        ({"name": "other"}, ".name"),
        ({"log": "/logs/exec-1/out"}, ".log"),
        ({"rate": "1.0"}, ".rate"),
        ({"rate": True}, ".rate"),
        ({"at": "2026-11-24T00:00:01.5Z"}, ".at"),
        ({"at": "2026-11-24T00:00:01+00:00"}, ".at"),
        ({"at": None}, ".at"),
        ({"day": "24.11.2026"}, ".day"),
        ({"active": 1}, ".active"),
        ({"note": "text"}, ".note"),
        ({"lines": ["a"]}, ".lines"),
        ({"lines": "a"}, ".lines"),
        ({"items": []}, ".items"),
        ({"items": {}}, ".items"),
        ({"items": [{"count": 1}, {}]}, ".items[1].count"),
        ({"items": [{"count": 1.5}]}, ".items[0].count"),
    ],
)
def test_what_does_not(change: dict[str, Any], path: str) -> None:
    (line,) = COMPARISON.differences(EXAMPLE, {**ANSWER, **change})
    assert line.startswith(f"{path}:")


@pytest.mark.parametrize("key", list(EXAMPLE))
def test_a_missing_field(key: str) -> None:
    answer = {name: value for name, value in ANSWER.items() if name != key}
    assert COMPARISON.differences(EXAMPLE, answer) == [f".{key}: is missing"]
