"""Text that PostgreSQL cannot store."""

from __future__ import annotations

import pytest

from cronwright_core.store.columns import clean_json, clean_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("abc", "abc"),
        ("a\x00b", "ab"),
        ("数据\x00", "数据"),
        ("\ud83d", "?"),
        ("😀", "😀"),
        ("a\nb\t", "a\nb\t"),
    ],
)
def test_nul_and_surrogates_are_removed(text, expected) -> None:
    assert clean_text(text) == expected


def test_json_is_cleaned_at_every_depth() -> None:
    dirty = {"a\x00": [{"b": "c\x00"}, 1, None, True, ("x\ud800",)]}
    assert clean_json(dirty) == {"a": [{"b": "c"}, 1, None, True, ["x?"]]}
