"""The order in which the end-to-end tests begin."""

from __future__ import annotations

import pytest

from support.long_first import deal

# (seconds, name); what pytest collects, in its order
TESTS = [(5, "a"), (90, "b"), (5, "c"), (60, "d"), (5, "e"), (5, "f"), (120, "g")]


def dealt(workers: int) -> str:
    return "".join(deal([name for _, name in TESTS], [seconds for seconds, _ in TESTS], workers))


@pytest.mark.parametrize(
    ("workers", "expected"), [(1, "gbdacef"), (2, "gdc" + "baef"), (3, "ga" + "bc" + "def"), (7, "gbdacef")]
)
def test_each_worker_begins_with_its_longest(workers: int, expected: str) -> None:
    assert dealt(workers) == expected


@pytest.mark.parametrize("workers", range(1, 12))
def test_none_is_lost(workers: int) -> None:
    assert sorted(dealt(workers)) == list("abcdefg")
