"""What counts as progress in a line or an annotation, and what does not."""

from __future__ import annotations

import pytest

from cronwright_core.domain.progress import MAX_LINE_LENGTH, Said, parse_annotation, parse_line

LINES = [
    # The document's own line, and its own answer.
    ("2024-01-01 02:00:30 [INFO] 数据处理进度: 50%", Said("数据处理", 50)),
    ("数据处理进度：65％", Said("数据处理", 65)),
    ("进度 7%", Said(None, 7)),
    ("当前进度: 7%", Said(None, 7)),
    ("导入进度为30%，已处理300条", Said("导入", 30)),
    ("progress: 65%", Said(None, 65)),
    ("progress: 65% copying files", Said("copying files", 65)),
    ("Progress=65 %", Said(None, 65)),
    ("progress: 100% complete", Said(None, 100)),
    ("Loading data - progress: 12.9%", Said("Loading data", 12)),
    ("[2024-01-01T02:00:30.123Z] INFO: [copy] progress 5%", Said("copy", 5)),
    ("2024/01/01 02:00:30 copying, progress is 5%", Said("copying", 5)),
    ("02:00:30,123 WARNING copying progress: 5%", Said("copying", 5)),
    ("INFO:root:progress: 5%", Said(None, 5)),
    ("INFO:my.module:copying progress: 5%", Said("copying", 5)),
    ("2024-01-01 02:00:30+08:00 | INFO | copying progress: 5%", Said("copying", 5)),
    ("informing all, progress: 5%", Said("informing all", 5)),
    ("progress: 10%\rprogress: 20%\rprogress: 30%\r", Said(None, 30)),
    ("progress: 0%", Said(None, 0)),
    ('{"progress": 65, "step": "copying"}', Said("copying", 65)),
    ('{"progress": 65.9}', Said(None, 65)),
    ('{"progress": "65%", "step": null}', Said(None, 65)),
    ('{"current_step": "copying", "progress_percent": 65}', Said("copying", 65)),
    ('{"level": "info", "msg": "数据处理进度: 50%"}', Said("数据处理", 50)),
    ('{"progress": null, "message": "INFO copying progress: 50%"}', Said("copying", 50)),
    (f"{'x' * 300} progress: 5%", Said("x" * 200, 5)),
]
NO_PROGRESS = [
    "",
    "100% of the rows",
    "disk usage: 83%",
    "progress",
    "progress: much",
    "progress: 65",
    "progress: 101%",
    "progress: -5%",
    "progressive: 5%",
    "in_progress: 5%",
    "progress: 5 files",
    "progress: 1234%",
    "完成 50%",
    "{",
    "{}",
    '{"step": "copying"}',
    '{"progress": true}',
    '{"progress": 101}',
    '{"progress": -1}',
    '{"progress": NaN}',
    '{"progress": 1e400}',
    '{"progress": [65]}',
    '{"progress": {"percent": 65}}',
    '{"message": 65}',
    "[65]",
    '{"a":' * 3000,
    "x" * MAX_LINE_LENGTH + " progress: 5%",
    "progress" + " " * (MAX_LINE_LENGTH - 20) + "5%",
    "INFO " * 3000,
]


@pytest.mark.parametrize(("line", "said"), LINES)
def test_a_line_that_says_it(line: str, said: Said) -> None:
    assert parse_line(line) == said
    if "\r" not in line:
        assert parse_annotation(line) == said


@pytest.mark.parametrize("line", NO_PROGRESS)
def test_a_line_that_does_not(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("65", Said(None, 65)),
        (" 65.9% ", Said(None, 65)),
        ("65% copying", Said("copying", 65)),
        ("65%, copying 3 of 7", Said("copying 3 of 7", 65)),
        ("copying", Said("copying", None)),
        ('{"step": "copying"}', Said("copying", None)),
        ("3 of 7 files", Said("3 of 7 files", None)),
        ("101%", None),
        ("101", None),
        ("-1", None),
        ("", None),
        ("  ", None),
        ("{}", None),
    ],
)
def test_an_annotation(text: str, said: Said | None) -> None:
    assert parse_annotation(text) == said


def test_what_was_said_before_stays_until_it_is_said_anew() -> None:
    assert Said("copy", 10).over(None) == Said("copy", 10)
    assert Said(None, 20).over(Said("copy", 10)) == Said("copy", 20)
    assert Said("check", None).over(Said("copy", 20)) == Said("check", 20)
