"""Every rule about a task and a project that API and operator must judge alike.

The API answers 400 with these errors; the operator turns the same ones into `Ready=False`, as the CRD's schema cannot
say them. All errors are reported at once, each with the field as REST names it and as the manifest does.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from cronwright_core.domain.errors import FieldError, Message
from cronwright_core.domain.project import ProjectSpec
from cronwright_core.domain.schedule import Schedule, ScheduleError, ScheduleType, check_not_past, parse_schedule
from cronwright_core.domain.task import TaskSpec

NAME_LENGTH = (3, 50)
_MAX_UNCOMPOSED = 4 * 100
"""The longest text that may still be a name: those of projects, and a search for a part of one, have at most 100
characters, and NFC makes one character of four at most (a test counts)."""
DESCRIPTION_LENGTH = 2000
USER_LENGTH = 253
BOUNDS = {
    "timeout_seconds": (1, 2_592_000, "activeDeadlineSeconds"),
    "max_instances": (1, 1000, "maxInstances"),
    "retry_count": (0, 100, "backoffLimit"),
    "priority": (-1000, 1000, "priority"),
    "max_queued": (1, 1000, "maxQueued"),
    "starting_deadline_seconds": (1, 31_536_000, "startingDeadlineSeconds"),
    "pending_deadline_seconds": (10, 86_400, "pendingDeadlineSeconds"),
    "spread_seconds": (0, 86_400, "spreadSeconds"),
}
"""Inclusive bounds of the numbers of a TaskSpec, and the manifest's name for each; the CRD has the same (a test
says so)."""


def normalize_name(text: str) -> str:
    """Cuts white space at both ends and composes Unicode (NFC), so that two names that look alike are alike.

    A text that is too long to be one is not composed; it is too long for whoever judges its length after this.
    """
    return compose(text.strip())


def compose(text: str) -> str:
    """A name, or a part of one, in Unicode's NFC; a text that is far too long for one stays as it is."""
    # Marks are put in order in a time that grows with the square of their number, and no other thread runs meanwhile:
    # one body of 1 MB would stop the process for minutes. So the length comes first.
    return text if len(text) > _MAX_UNCOMPOSED else unicodedata.normalize("NFC", text)


def check_name(name: str) -> list[FieldError]:
    """Checks a normalized task name: 3 to 50 code points, no control characters."""
    low, high = NAME_LENGTH
    if not low <= len(name) <= high:
        return [
            _error(
                "name",
                "displayName",
                f"任务名称长度必须为{low}-{high}个字符",
                f"the name must have {low} to {high} characters",
            )
        ]
    if any(unicodedata.category(character).startswith("C") for character in name):
        return [_error("name", "displayName", "任务名称不能包含控制字符", "the name must not hold control characters")]
    return []


def check_task(spec: TaskSpec) -> tuple[Schedule | None, list[FieldError]]:
    """Checks everything about a task that does not need its project or the clock; returns the schedule if it can be
    read."""
    errors = check_name(spec.display_name)
    if spec.description is not None and len(spec.description) > DESCRIPTION_LENGTH:
        errors.append(
            _error(
                "description",
                "description",
                f"描述不能超过{DESCRIPTION_LENGTH}个字符",
                f"the description must not exceed {DESCRIPTION_LENGTH} characters",
            )
        )
    for field in BOUNDS:
        errors += check_bound(field, getattr(spec, field))
    schedule, wrong = check_schedule(spec.schedule_type, spec.schedule, spec.time_zone)
    return schedule, errors + wrong


def check_bound(field: str, value: int | None) -> list[FieldError]:
    """Checks one number of a TaskSpec against `BOUNDS`."""
    low, high, kube_field = BOUNDS[field]
    if value is None or low <= value <= high:
        return []
    return [_error(field, kube_field, f"必须在{low}到{high}之间", f"must be between {low} and {high}")]


def check_schedule(type_: ScheduleType, text: str, time_zone: str) -> tuple[Schedule | None, list[FieldError]]:
    """Reads a schedule, or says what is wrong with it."""
    try:
        return parse_schedule(type_, text, time_zone), []
    except ScheduleError as error:
        return None, [_schedule_error(error)]


def check_schedule_not_past(schedule: Schedule, now: datetime) -> list[FieldError]:
    """Refuses a DATE (or ONCE with a time) that lies in the past; called only when the schedule is set or changed."""
    try:
        check_not_past(schedule, now)
    except ScheduleError as error:
        return [_schedule_error(error)]
    return []


def check_overrides(spec: TaskSpec, project: ProjectSpec) -> list[FieldError]:
    """Refuses image and command in a task whose Project does not allow overrides."""
    errors: list[FieldError] = []
    if not project.allow_overrides:
        for field in ("image", "command"):
            if getattr(spec.overrides, field) is not None:
                errors.append(
                    FieldError(
                        field,
                        Message(
                            f"项目“{project.display_name}”不允许任务修改 {field}",
                            f"the project {project.display_name!r} does not allow tasks to change {field}",
                        ),
                        f"spec.overrides.{field}",
                    )
                )
    return errors


def check_image(image: str) -> list[FieldError]:
    """Refuses what cannot be an image reference; whether the image exists only the node can tell."""
    if not image or re.search(r"\s", image) or len(image) > 1024:
        return [_error("image", "image", "镜像名称无效", "the image must be a reference without white space")]
    return []


def unknown_project(name_or_id: object) -> FieldError:
    """The same answer for a project that does not exist and for one that the caller may not use."""
    return FieldError(
        "project_id",
        Message(f"项目不存在：{name_or_id}", f"there is no such project: {name_or_id}"),
        "spec.projectName",
    )


def project_not_ready(name: str) -> FieldError:
    """The Project exists but is not accepted; its own condition says why."""
    return FieldError(
        "project_id",
        Message(f"项目不可用：{name}", f"the project {name} is not ready; its own condition says why"),
        "spec.projectName",
    )


def name_taken(name: str) -> FieldError:
    """A name is unique among the tasks of one owner that exist."""
    return FieldError(
        "name",
        Message(f"任务名称已存在：{name}", f"there is a task of this name already: {name}"),
        "spec.displayName",
    )


def _error(field: str, kube_field: str, zh: str, en: str) -> FieldError:
    return FieldError(field, Message(zh, en), f"spec.{kube_field}")


def _schedule_error(error: ScheduleError) -> FieldError:
    kube_field = "spec.timeZone" if error.field == "time_zone" else "spec.schedule"
    return FieldError(error.field, Message(error.message_zh, error.message_en), kube_field)
