"""Kubernetes' quantities."""

from __future__ import annotations

import pytest

from cronwright_core.kube.quantities import to_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("1930m", 1.93),
        ("151913742n", 0.151913742),
        ("5u", 5e-6),
        ("24684084Ki", 24684084 * 1024),
        ("1.5Gi", 1.5 * 2**30),
        ("1k", 1000),
        ("2M", 2e6),
        ("12e6", 12e6),
        ("1E", 1e18),
        (".5", 0.5),
        ("-1", -1),
    ],
)
def test_reads(text: str, number: float) -> None:
    assert to_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "Ki", "1ki", "1 Gi", "0x10", "one", "1KiB", "1e"])
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        to_number(text)
