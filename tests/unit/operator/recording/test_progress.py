"""How far an execution is: the newest attempt's last word, the annotation before the output."""

from __future__ import annotations

import pytest

from cronwright_core.domain.execution import Attempt, ExecutionStatus
from cronwright_core.domain.progress import Progress, Said
from cronwright_operator.recording.progress import progress_of, said_in
from support.builders import CREATED, make_pod


def attempt(number: int) -> Attempt:
    return Attempt(number, f"pod-{number}", f"uid-{number}", ExecutionStatus.RUNNING, CREATED)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"", None),
        (b"one\ntwo\n", None),
        (b"load progress: 10%\nrow 7\n", Said("load", 10)),
        (b"load progress: 10%\ncopy progress: 20%\n", Said("copy", 20)),
        (b"load progress: 10%\nprogress: 20%\nno progress\n", Said("load", 20)),
        ("导入进度: 7%\n".encode(), Said("导入", 7)),
        (b"\xff\xfe progress: 5%\n", Said("\ufffd\ufffd", 5)),
        (b"progress\n" * 300 + b"row\n", None),
    ],
)
def test_the_last_lines_that_speak_of_it_count(lines: bytes, said: Said | None) -> None:
    assert said_in(lines) == said


def test_only_so_many_lines_are_looked_at() -> None:
    assert said_in(b"load progress: 5%\n" + b"no progress yet\n" * 1000) is None


def test_without_an_attempt_there_is_none() -> None:
    assert progress_of((), [], {}) is None


def test_an_attempt_that_says_nothing_begins_anew() -> None:
    printed = {"uid-1": Said("load", 90)}
    assert progress_of((attempt(1),), [], printed) == Progress(1, "load", 90)
    assert progress_of((attempt(1), attempt(2)), [], printed) == Progress(2)


def test_the_annotation_counts_before_the_output() -> None:
    printed = {"uid-1": Said("load", 90)}
    pods = [make_pod(uid="uid-1", progress="40%"), make_pod(uid="uid-0", progress="1% other")]
    assert progress_of((attempt(1),), pods, printed) == Progress(1, "load", 40)
    assert progress_of((attempt(1),), [make_pod(uid="uid-1", progress="{")], printed) == Progress(1, "load", 90)
