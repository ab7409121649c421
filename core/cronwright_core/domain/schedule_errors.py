"""What can be wrong with a schedule apart from the grammar of cron lines, in the document's tone and in English."""

from __future__ import annotations

from cronwright_core.domain.cron_errors import CronSyntaxError

_MESSAGES = {
    "interval_format": (
        "间隔调度格式错误：'{value}' 不是以秒为单位的整数",
        "Invalid interval '{value}': it must be a whole number of seconds",
    ),
    "interval_range": (
        "间隔调度超出范围：'{value}'，必须在60到31536000秒之间",
        "Invalid interval '{value}': it must be between 60 and 31536000 seconds",
    ),
    "date_empty": (
        "日期调度不能为空，应为ISO 8601格式，如 2027-01-01T15:30:00Z",
        "A date is required in ISO 8601, such as 2027-01-01T15:30:00Z",
    ),
    "date_format": (
        "日期格式错误：'{value}' 不是有效的ISO 8601时间，如 2027-01-01T15:30:00Z",
        "Invalid date '{value}': it must be an ISO 8601 time such as 2027-01-01T15:30:00Z",
    ),
    "in_the_past": ("执行时间 '{value}' 已过去", "The time '{value}' is in the past"),
    "unknown_time_zone": (
        "未知的时区：'{value}'，应为IANA时区名称，如 Asia/Shanghai",
        "Unknown time zone '{value}': it must be an IANA name such as Asia/Shanghai",
    ),
}
_SHOWN_CHARACTERS = 100


class ScheduleError(ValueError):
    """A schedule that Cronwright refuses. `field` is `schedule_config` or `time_zone`; `code` names the cause.

    `message_zh` and `message_en` are complete sentences for people.
    """

    def __init__(self, field: str, code: str, message_zh: str, message_en: str) -> None:
        super().__init__(message_en)
        self.field = field
        self.code = code
        self.message_zh = message_zh
        self.message_en = message_en


def schedule_error(code: str, value: str) -> ScheduleError:
    """The error of this cause; `value` is the text that is wrong."""
    shown = value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
    zh, en = _MESSAGES[code]
    field = "time_zone" if code == "unknown_time_zone" else "schedule_config"
    return ScheduleError(field, code, zh.format(value=shown), en.format(value=shown))


def cron_schedule_error(error: CronSyntaxError) -> ScheduleError:
    """A wrong cron line as a wrong schedule; the messages stay."""
    return ScheduleError("schedule_config", error.code, error.message_zh, error.message_en)
