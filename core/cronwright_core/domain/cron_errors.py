"""What can be wrong with a cron line, in the document's words and in English: one pair of messages per cause."""

from __future__ import annotations

_FIELDS = {
    "minute": ("分钟", "minute"),
    "hour": ("小时", "hour"),
    "day_of_month": ("日期", "day-of-month"),
    "month": ("月份", "month"),
    "day_of_week": ("星期", "day-of-week"),
}
FIELD_RANGES = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day_of_month": (1, 31),
    "month": (1, 12),
    "day_of_week": (0, 7),
}

# {value}: the item that is wrong; {low} {high}: the field's range.
_FIELD_MESSAGES = {
    "out_of_range": ("超出范围", "is out of range: '{value}' is not within {low}-{high}"),
    "not_a_number": ("含有无效的值 '{value}'", "has an invalid value '{value}'"),
    "reversed_range": ("范围 '{value}' 的起始值大于结束值", "has the range '{value}', which begins after its end"),
    "bad_range": ("范围 '{value}' 格式错误", "has the malformed range '{value}'"),
    "bad_step": ("步长 '{value}' 必须是正整数", "has the step '{value}', which must be a positive integer"),
}
_LINE_MESSAGES = {
    "empty": ("表达式不能为空", "it is empty"),
    "field_count": ("应包含5个字段，实际为{value}个", "it has {value} fields instead of 5"),
    "unknown_macro": (
        "不支持的宏，可用的宏为 @hourly @daily @midnight @weekly @monthly @yearly @annually",
        "unknown macro; use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually",
    ),
    "every_refused": (
        "不支持 @every，请使用 INTERVAL 调度类型",
        "@every is not supported; use the schedule type INTERVAL",
    ),
    "time_zone_inside": (
        "不能包含时区，请使用 time_zone 字段",
        "it must not hold a time zone; use the field time_zone",
    ),
    "white_space": ("字段之间只能使用空格或制表符分隔", "only blanks and tabs may stand between its fields"),
    "too_long": ("长度不能超过{value}个字符", "it is longer than {value} characters"),
    "never_fires": ("该表达式永远不会触发", "it never fires"),
}
_SHOWN_CHARACTERS = 100


class CronSyntaxError(ValueError):
    """A cron line that Cronwright refuses; nothing may be scheduled from it.

    `code` names the cause, `field` the part (minute, hour, day_of_month, month, day_of_week; None: the whole line),
    `value` the text that is wrong. `message_zh` and `message_en` are complete sentences for people.
    """

    def __init__(self, code: str, *, line: str, value: str, field: str | None = None) -> None:
        self.code = code
        self.field = field
        self.value = value
        shown, part = _cut(line), _cut(value)
        if field is None:
            zh, en = (text.format(value=part) for text in _LINE_MESSAGES[code])
        else:
            low, high = FIELD_RANGES[field]
            zh, en = (text.format(value=part, low=low, high=high) for text in _FIELD_MESSAGES[code])
            zh = f"{_FIELDS[field][0]}部分{zh}"
            en = f"the {_FIELDS[field][1]} part {en}"
        self.message_zh = f"CRON表达式格式错误：'{shown}' {zh}"
        self.message_en = f"Invalid cron expression '{shown}': {en}"
        super().__init__(self.message_en)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
