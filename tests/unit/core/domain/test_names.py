"""Names as they are stored."""

from __future__ import annotations

import unicodedata

import pytest

from cronwright_core.domain.validation import check_name, normalize_name

FOUR_IN_ONE = unicodedata.normalize("NFD", "\u1f82")
"""A letter and three marks, which are one character when composed."""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain", "plain"),
        ("cafe\u0301 job", "café job"),
        (" \t\u3000nightly\u2003\n", "nightly"),
        ("\u2000\u2001a\u2000", "a"),  # NFC makes other white space of these
        (FOUR_IN_ONE * 100, "\u1f82" * 100),
        (" " * 100_000 + FOUR_IN_ONE * 100, "\u1f82" * 100),
    ],
    ids=range(6),
)
def test_are_trimmed_and_composed(text: str, name: str) -> None:
    assert normalize_name(text) == name


def test_no_character_is_composed_of_more_than_the_bound_reckons_with() -> None:
    characters = map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
    assert max(len(unicodedata.normalize("NFD", character)) for character in characters) == len(FOUR_IN_ONE)


@pytest.mark.parametrize(
    "text", ["a" + "\u0301" * 400, "a" + "\u0301" * 250_000 + "\u0323" * 250_000, "x" * 401], ids=range(3)
)
def test_what_is_too_long_is_refused_before_it_is_composed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def only_short(_form: str, text: str) -> str:
        assert len(text) <= 400
        return text

    monkeypatch.setattr(unicodedata, "normalize", only_short)
    assert check_name(normalize_name(text)) == check_name("x" * 51)
