"""What is taken out of output before it is stored, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_operator.recording.redaction import BadPattern, Redactor, compile_patterns, literals_of_env

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("authorization=bearer   abcdef0123456789==", "authorization=bearer   [redacted]"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', '{"Authorization": "Basic [redacted]"}'),
        (f"token {JWT} was accepted", "token [redacted] was accepted"),
        ("postgresql://app:p%40ss@db:5432/x", "postgresql://app:[redacted]@db:5432/x"),
        ("redis://:hunter2@cache", "redis://:[redacted]@cache"),
        ("the bearer of good news; basic understanding", "the bearer of good news; basic understanding"),
        ("see http://host:8080/a?mail=a@b.example", "see http://host:8080/a?mail=a@b.example"),
    ],
)
def test_tokens_and_passwords(line: str, stored: str) -> None:
    assert Redactor().lines(line.encode() + b"\n") == stored.encode() + b"\n"
    assert Redactor().lines(stored.encode() + b"\n") == stored.encode() + b"\n", "once is enough"


def test_literal_values_in_each_spelling() -> None:
    redactor = Redactor(["pass word/1", "口令是秘密的", "first line\nsecond line", "pass word/1 and more"])
    text = "a pass word/1 b pass%20word%2F1 c pass word/1 and more d 口令是秘密的\nsecond line\n".encode()
    text += "口令是秘密的\n".encode("gb18030")
    expected = b"a [redacted] b [redacted] c [redacted] d [redacted]\n[redacted]\n[redacted]\n"
    assert redactor.lines(text) == expected


@pytest.mark.parametrize(
    ("name", "value", "goes"),
    [
        ("DB_PASSWORD", "s3cret", True),
        ("api_key", "abc12", False),
        ("REGION", "north", False),
        ("GREETING", "good morning", True),
        ("DAY", "2024-01-01", False),
        ("AT", "2024-01-01T10:00:00Z", False),
        ("INPUT", "/data/input/today", False),
        ("URL", "https://example.com/path", False),
        ("URL", "https://user:pw@example.com/path", True),
        ("CRONWRIGHT_TASK", "nightly report", False),
    ],
)
def test_which_variables_count(name: str, value: str, goes: bool) -> None:
    found = literals_of_env([{"name": name, "value": value}, {"name": "SECRET", "valueFrom": {}}])
    assert found == ({value} if goes else set())


def test_patterns_of_the_settings() -> None:
    patterns = compile_patterns([r"\bcard \d{4}", r"pin=(?P<secret>\d+)"])
    assert Redactor(patterns=patterns).lines(b"card 1234, pin=99\n") == b"[redacted], pin=[redacted]\n"


def test_a_pattern_never_joins_lines() -> None:
    redactor = Redactor(patterns=compile_patterns([r"begin\s+end", r"x[^y]*y"]))
    assert redactor.lines(b"begin\nend\nbegin end\nx\ny\n") == b"begin\nend\n[redacted]\nx\ny\n"


@pytest.mark.parametrize("pattern", ["(", "a*", "", "x" * 501])
def test_patterns_that_cannot_be_used_are_named(pattern: str) -> None:
    with pytest.raises(BadPattern, match="pattern 2"):
        compile_patterns(["ok", pattern])


def test_texts() -> None:
    redactor = Redactor(["hunter22"])
    assert redactor.text("said hunter22") == "said [redacted]"
    assert redactor.text(None) is None


@settings(deadline=None)  # a busy machine
@given(st.integers(1, 400), st.integers(1, 400))
def test_a_long_line_is_never_cut_inside_of_a_secret(before: int, behind: int) -> None:
    redactor = Redactor(["correct-horse-battery"])
    text = b"x" * before + b"correct-horse-battery" + b"y" * behind
    cut = redactor.safe_cut(text, min(len(text) - 1, 200))
    assert 0 < cut <= 200
    stored = redactor.lines(text[:cut] + b"\n") + redactor.lines(text[cut:] + b"\n")
    assert stored.replace(b"\n", b"") == b"x" * before + b"[redacted]" + b"y" * behind
