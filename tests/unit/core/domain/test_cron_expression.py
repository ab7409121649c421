"""The grammar of cron lines: what is accepted, what it means, and which words refuse the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_core.domain.cron import CronSyntaxError, parse_cron

FIVE = ["minute", "hour", "day_of_month", "month", "day_of_week"]


def refused(line: str) -> CronSyntaxError:
    with pytest.raises(CronSyntaxError) as caught:
        parse_cron(line)
    return caught.value


def bits(*values: int) -> int:
    return sum(1 << value for value in values)


def test_the_documents_example_of_an_error() -> None:
    error = refused("0 25 * * *")
    assert error.message_zh == "CRON表达式格式错误：'0 25 * * *' 小时部分超出范围"
    assert error.message_en == (
        "Invalid cron expression '0 25 * * *': the hour part is out of range: '25' is not within 0-23"
    )
    assert (error.code, error.field, error.value) == ("out_of_range", "hour", "25")


@pytest.mark.parametrize("line", ["0 0 * * *", "0 */2 * * *", "30 9 * * 1-5", "0 0 1 * *", "0 0 * * 0", "0 2 * * *"])
def test_the_documents_lines(line: str) -> None:
    assert parse_cron(line).canonical == line


def test_sets() -> None:
    expr = parse_cron("5-10/2,*/30 22/1 1,15 jan-MAR,12 Mon-3")
    assert expr.minute == bits(0, 5, 7, 9, 30)
    assert expr.hour == bits(22, 23)
    assert expr.dom == bits(1, 15)
    assert expr.month == bits(1, 2, 3, 12)
    assert expr.dow == bits(1, 2, 3)


@pytest.mark.parametrize(
    "field, star",
    [
        ("*", True),
        ("?", True),
        ("*/1", True),
        ("5,*", True),
        ("*-5", True),
        ("?/1", True),
        ("*/2", False),
        ("1-31", False),
        ("1/1", False),
        ("*/2,5", False),
        ("5", False),
    ],
)
def test_star_marks(field: str, star: bool) -> None:
    assert parse_cron(f"0 0 {field} * 1").dom_star is star


@pytest.mark.parametrize(
    "given_field, canonical",
    [
        ("7", "0"),
        ("07", "0"),
        ("+7", "0"),
        ("7-7", "0"),
        ("7/3", "0"),
        ("7-7/2", "0"),
        ("5-7", "5-6,0"),
        ("1-7", "1-6,0"),
        ("fri-7", "fri-6,0"),
        ("0-7", "0-6"),
        ("SUN-7", "SUN-6"),
        ("1-7/2", "1,3,5,0"),
        ("0-7/7", "0"),
        ("2-7/3", "2,5"),
        ("1,7,3", "1,0,3"),
        ("*/7", "*/7"),
        ("1/7", "1/7"),
        ("*-7", "*-7"),
        ("5/2", "5/2"),
        ("1-6", "1-6"),
    ],
)
def test_day_of_week_seven_becomes_zero(given_field: str, canonical: str) -> None:
    assert parse_cron(f"0 0 13 * {given_field}").canonical == f"0 0 13 * {canonical}"


def test_a_whole_week_with_seven_is_no_star() -> None:
    # A star would turn "the 13th or any day" into "the 13th".
    assert not parse_cron("0 0 13 * 0-7").dow_star
    assert not parse_cron("0 0 13 * 1-7").dow_star


@pytest.mark.parametrize("macro", ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"])
def test_macros_stay_as_they_are(macro: str) -> None:
    assert parse_cron(f" {macro}\n").canonical == macro


@pytest.mark.parametrize("line", ["  0\t0  * *   * ", "\n0 0 * * *\n", "0\u30000\xa0* * *"])
def test_white_space_collapses(line: str) -> None:
    assert parse_cron(line).canonical == "0 0 * * *"


@pytest.mark.parametrize(
    "line, code, field",
    [
        ("", "empty", None),
        (" \t", "empty", None),
        ("* * * *", "field_count", None),
        ("0 * * * * *", "field_count", None),
        ("0 0 *\x1c* *", "field_count", None),
        ("@Hourly", "unknown_macro", None),
        ("@reboot", "unknown_macro", None),
        ("@daily 1", "unknown_macro", None),
        ("@every 1h", "every_refused", None),
        ("@every", "every_refused", None),
        ("TZ=Asia/Tokyo 0 9 * * *", "time_zone_inside", None),
        ("CRON_TZ=UTC @daily", "time_zone_inside", None),
        ("60 * * * *", "out_of_range", "minute"),
        ("* 24 * * *", "out_of_range", "hour"),
        ("* 5-24 * * *", "out_of_range", "hour"),
        ("* * 0 * *", "out_of_range", "day_of_month"),
        ("* * 32 * *", "out_of_range", "day_of_month"),
        ("* * * 13 *", "out_of_range", "month"),
        ("* * * * 8", "out_of_range", "day_of_week"),
        ("* * * * 1-8", "out_of_range", "day_of_week"),
        ("* * * * FRI-SUN", "reversed_range", "day_of_week"),
        ("* * * * 7-3", "reversed_range", "day_of_week"),
        ("* * * * 7-0", "reversed_range", "day_of_week"),
        ("5-1 * * * *", "reversed_range", "minute"),
        ("1-2-3 * * * *", "bad_range", "minute"),
        ("1/2/3 * * * *", "bad_step", "minute"),
        ("*/0 * * * *", "bad_step", "minute"),
        ("*/x * * * *", "bad_step", "minute"),
        ("*/ * * * *", "bad_step", "minute"),
        ("* * L * *", "not_a_number", "day_of_month"),
        ("* * * * 5#3", "not_a_number", "day_of_week"),
        ("H * * * *", "not_a_number", "minute"),
        ("-5 * * * *", "not_a_number", "minute"),
        ("5- * * * *", "not_a_number", "minute"),
        ("jan * * * *", "not_a_number", "minute"),
        ("* * * january *", "not_a_number", "month"),
        ("* * * ٣ *", "not_a_number", "month"),
        ("* * * * fri,-,7-7-7", "not_a_number", "day_of_week"),
        (f"{2**63} * * * *", "not_a_number", "minute"),
        ("9" * 5000 + " * * * *", "not_a_number", "minute"),
    ],
)
def test_refused(line: str, code: str, field: str | None) -> None:
    error = refused(line)
    assert (error.code, error.field) == (code, field)
    assert len(error.message_zh) < 400
    assert error.message_zh.startswith("CRON表达式格式错误：")


@pytest.mark.parametrize("position", range(5))
def test_the_message_names_the_part(position: int) -> None:
    zh = ("分钟", "小时", "日期", "月份", "星期")[position]
    fields = ["*"] * 5
    fields[position] = "99"
    error = refused(" ".join(fields))
    assert error.field == FIVE[position]
    assert error.message_zh.endswith(f"{zh}部分超出范围")


@pytest.mark.parametrize(
    "line", ["5,,6 * * * *", "5, * * * *", "*/100 * * * *", "0 0 ? * ?", "+5 05 * * *", f"*/{2**63 - 1} * * * *"]
)
def test_oddities_that_kubernetes_accepts(line: str) -> None:
    assert parse_cron(line).fires


@pytest.mark.parametrize(
    "line, fires",
    [
        ("0 0 30 2 *", False),
        ("0 0 31 4,6,9,11 *", False),
        ("0 0 30 2 */1", False),
        ("0 0 30 2 1", True),
        ("0 0 30 2 ,", False),
        ("0 0 29 2 *", True),
        ("0 0 31 1-12 *", True),
        (", * * * *", False),
        ("* , * * *", False),
        ("* * , * *", False),
        ("* * , * 1", True),
        ("* * * , *", False),
    ],
)
def test_whether_a_line_fires_at_all(line: str, fires: bool) -> None:
    assert parse_cron(line).fires is fires


@settings(deadline=None)
@given(st.text(alphabet="0123456789*?,-/+ @#LWabcfirmnosu\t", max_size=40))
def test_any_text_is_read_or_refused_and_canonical_text_is_stable(text: str) -> None:
    try:
        expr = parse_cron(text)
    except CronSyntaxError:
        return
    # Nothing but a CronSyntaxError may come out, and what a CronJob holds means the same as what was given.
    assert parse_cron(expr.canonical) == expr
