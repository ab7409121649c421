"""Parameters of one manual run: environment variables that this run gets besides its task's, judged alike by API and
operator. Literal values only; what comes from a Secret belongs into the task's definition.

They travel in the trigger annotation, so they must stay small. Values may be secrets: no error repeats one, and of a
run only the names are recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cronwright_core.domain.errors import FieldError, Message
from cronwright_core.domain.times import from_rfc3339, whole_seconds

MAX_VARIABLES = 32
MAX_NAME_LENGTH = 256
MAX_VALUE_LENGTH = 4096
"""Characters of one value."""
MAX_TOTAL_BYTES = 8192
"""Names and values together, in UTF-8: an object holds 256 KiB of annotations, of which each waiting run is one."""
RESERVED_PREFIX = "CRONWRIGHT_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""As the CRD's pattern of a variable's name."""

MAX_REQUEST_AGE = timedelta(days=31)
"""So long a request may have waited, for an operator or for its task to be ready, and keep its time."""
MAX_CLOCK_SKEW = timedelta(hours=1)
"""So far the clock may be ahead of whoever asks."""

Variables = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a trigger annotation asks for. `problem` is set if it cannot be done, and then nothing runs."""

    time: datetime
    by: str
    parameters: Variables = ()
    problem: FieldError | None = None


def parse_run_request(text: str, now: datetime) -> RunRequest:
    """Reads the value of a trigger annotation. The API writes a JSON object {time, by, env}; a person may write one
    too, or anything else, which asks for a run now. A text that begins like an object must be one.

    A time that is not near `now` counts as none. Under its time a run is recorded, in the partition of its month: who
    may annotate a task must not choose among all the months that there are.
    """
    moment = whole_seconds(now)
    if not text.lstrip().startswith("{"):
        return RunRequest(moment, "kubectl")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return RunRequest(moment, "kubectl", problem=_error("不是有效的JSON对象", "is not a valid JSON object"))
    by = value.get("by")
    time = _time(value.get("time"))
    if time is None or not now - MAX_REQUEST_AGE <= time <= now + MAX_CLOCK_SKEW:
        time = moment
    request = RunRequest(time, by[:253] if isinstance(by, str) and by else "kubectl")
    env = value.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(item, str) for item in env.values()):
        problem = _error("env必须是字符串值的对象", "env must be an object with string values")
        return RunRequest(request.time, request.by, problem=problem)
    variables = tuple(env.items())
    errors = check_parameters(variables)
    if errors:
        return RunRequest(request.time, request.by, problem=errors[0])
    return RunRequest(request.time, request.by, variables)


def requested_time(text: str) -> datetime | None:
    """The time that a trigger annotation itself names; None if it names none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _time(value.get("time")) if isinstance(value, dict) else None


def check_parameters(variables: Sequence[tuple[str, str]]) -> list[FieldError]:
    """Checks names, sizes and number."""
    if len(variables) > MAX_VARIABLES:
        return [_error(f"不能超过{MAX_VARIABLES}个变量", f"must not have more than {MAX_VARIABLES} variables")]
    names = [name for name, _ in variables]
    errors = []
    if len(set(names)) < len(names):
        errors.append(_error("变量名称不能重复", "the names of the variables must differ"))
    for name, value in variables:
        shown = name[:64]
        if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
            errors.append(_error(f"变量名称无效：{shown}", f"is not the name of a variable: {shown}"))
        elif name.startswith(RESERVED_PREFIX):
            zh, en = f"变量名称{shown}为系统保留", f"{shown} is reserved: names must not begin with {RESERVED_PREFIX}"
            errors.append(_error(zh, en))
        if len(value) > MAX_VALUE_LENGTH or "\x00" in value:
            zh = f"变量{shown}的值不能超过{MAX_VALUE_LENGTH}个字符或包含空字符"
            en = f"the value of {shown} must not exceed {MAX_VALUE_LENGTH} characters nor hold NUL"
            errors.append(_error(zh, en))
    # Lone surrogates, which JSON can say, count too; the API server would refuse them anyhow.
    total = sum(len(text.encode("utf-8", "surrogatepass")) for pair in variables for text in pair)
    if total > MAX_TOTAL_BYTES:
        errors.append(
            _error(
                f"变量名称和值总共不能超过{MAX_TOTAL_BYTES}字节",
                f"names and values must not exceed {MAX_TOTAL_BYTES} bytes together",
            )
        )
    return errors


def _time(value: Any) -> datetime | None:
    try:
        return whole_seconds(from_rfc3339(value))
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None


def _error(zh: str, en: str) -> FieldError:
    return FieldError("env", Message(zh, en), "metadata.annotations")
