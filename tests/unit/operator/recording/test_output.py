"""What an execution says of itself in one line."""

from __future__ import annotations

import pytest

from cronwright_core.domain.execution import ExecutionState, ExecutionStatus
from cronwright_operator.recording.output import error_message, output_summary


@pytest.mark.parametrize(
    ("annotation", "termination", "tail", "want"),
    [
        ("set", "written", ["printed"], "set"),
        (None, "written\n", ["printed"], "written"),
        (None, None, ["first", "last", "", "  "], "last"),
        (None, "", [], None),
        (None, None, ["x" * 600], "x" * 500),
    ],
)
def test_output_summary(annotation: str | None, termination: str | None, tail: list[str], want: str | None) -> None:
    assert output_summary(annotation, termination, tail) == want


def state(status: ExecutionStatus, reason: str | None = None, message: str | None = None) -> ExecutionState:
    return ExecutionState(status=status, reason=reason, message=message, exit_code=3)


def test_success_has_no_error() -> None:
    assert error_message(state(ExecutionStatus.SUCCESS), ["a warning"]) is None


def test_the_programs_last_words_tell_more_than_error() -> None:
    assert error_message(state(ExecutionStatus.FAILED, "Error"), ["Traceback", "KeyError: 'x'", ""]) == "KeyError: 'x'"


def test_a_reason_to_act_on_comes_first() -> None:
    oom = state(ExecutionStatus.FAILED, "OOMKilled", "used more memory than its limit")
    assert error_message(oom, ["working"]) == "OOMKilled: used more memory than its limit"


def test_the_exit_code_is_the_last_resort() -> None:
    assert error_message(state(ExecutionStatus.FAILED, "BackoffLimitExceeded"), []) == "ended with exit code 3"
