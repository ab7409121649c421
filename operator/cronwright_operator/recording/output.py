"""What an execution says of itself in one line: `output_summary` and `error_message`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cronwright_core.domain.execution import ExecutionState, ExecutionStatus

SUMMARY_LENGTH = 500
MARKER_PREFIX = "[cronwright: "
"""How lines begin that stand in the place of output that is missing."""
_PLAIN_FAILURES = frozenset({None, "Error", "BackoffLimitExceeded", "PodFailurePolicy"})
"""Reasons that only say "it ended with an error"; the program's own last line says more."""


def output_summary(annotation: str | None, termination_message: str | None, stdout_tail: Sequence[str]) -> str | None:
    """The program's own summary (Pod annotation, termination message), else the last stdout line that is not empty."""
    for text in (annotation, termination_message, last_line(stdout_tail)):
        if text is not None and text.strip():
            return text.strip()[:SUMMARY_LENGTH]
    return None


def error_message(state: ExecutionState, stderr_tail: Sequence[str]) -> str | None:
    """Why it did not succeed: a reason that a person can act on, else the last stderr line, else the exit code."""
    if not state.status.ended or state.status is ExecutionStatus.SUCCESS:
        return None
    if state.reason not in _PLAIN_FAILURES:
        return f"{state.reason}: {state.message}"[:SUMMARY_LENGTH] if state.message else state.reason
    said = last_line(stderr_tail)
    if said is not None:
        return said.strip()[:SUMMARY_LENGTH]
    if state.exit_code is not None:
        return f"ended with exit code {state.exit_code}"
    return state.message or state.reason


def last_line(lines: Sequence[str]) -> str | None:
    """The last line that is not blank, and is the program's: lines in the place of missing output are ours."""
    return next((line for line in reversed(lines) if line.strip() and not line.startswith(MARKER_PREFIX)), None)
