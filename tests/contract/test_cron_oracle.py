"""Our cron arithmetic against robfig/cron v3.0.1, the library in Kubernetes, on the same tz data.

Skipped only where there is no `go`. CRON_ORACLE_CASES multiplies the number of cases for a longer search.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronwright_core.domain.cron import CronExpression, CronSyntaxError, next_tick, parse_cron
from cronwright_core.domain.timezones import EPOCH, UnknownTimeZoneError, load_zone, zone_names
from oracle.cron_cases import ZONES, Case, clock_changes, firing_cases, mistyped_lines

TIMES = int(os.environ.get("CRON_ORACLE_CASES", "1"))
SEED = int(os.environ.get("CRON_ORACLE_SEED", "20261123"))
SOURCE = Path(__file__).parents[1] / "oracle"
# What Go's strings.Fields and strings.TrimSpace take for white space.
GO_BLANKS = "\t\n\v\f\r \x85\xa0\u3000"

Oracle = Callable[[Iterable[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go binary: the cron arithmetic is not compared with robfig/cron")
    binary = tmp_path_factory.mktemp("oracle") / "oracle"
    subprocess.run([go, "build", "-o", binary, "."], cwd=SOURCE, check=True, timeout=300)
    zoneinfo = str(importlib.resources.files("tzdata").joinpath("zoneinfo"))

    def ask(questions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        env = {**os.environ, "ZONEINFO": zoneinfo}
        done = subprocess.run([binary], input=lines, env=env, capture_output=True, text=True, check=True, timeout=300)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def our_times(expr: CronExpression, case: Case, count: int) -> list[int]:
    zone = load_zone(case.zone)
    base = EPOCH + timedelta(seconds=case.base)
    times: list[int] = []
    while len(times) < count and (tick := next_tick(expr, base, zone)) is not None:
        times.append(int(tick.timestamp()))
        base = tick
    return times


def differences(oracle: Oracle, cases: list[Case], count: int) -> list[str]:
    """Asks robfig for the canonical line, since that is what the CronJob gets."""
    expressions = [parse_cron(case.line) for case in cases]
    answers = oracle(
        {"schedule": expr.canonical, "zone": case.zone, "base": case.base, "count": count}
        for expr, case in zip(expressions, cases, strict=True)
    )
    found, fallen_back = [], 0
    for expr, case, answer in zip(expressions, cases, answers, strict=True):
        ours, theirs = our_times(expr, case, count), increasing(case.base, answer["times"])
        fallen_back += theirs != answer["times"]
        if not answer["accepted"] or ours[: len(theirs)] != theirs or len(ours) < len(answer["times"]):
            found.append(f"{case}: ours {ours}, robfig {answer}")
    assert fallen_back <= len(cases) // 1000
    return found


def increasing(base: int, times: list[int]) -> list[int]:
    """The times up to where robfig falls back behind its own base (Chatham's autumn); nobody can follow it there."""
    kept: list[int] = []
    for time in times:
        if time <= (kept[-1] if kept else base):
            break
        kept.append(time)
    return kept


def test_next_ticks_are_robfigs(oracle: Oracle) -> None:
    cases = list(firing_cases(random.Random(SEED), 5000 * TIMES))
    assert differences(oracle, cases, count=5) == []


def test_every_clock_change_of_every_listed_zone(oracle: Oracle) -> None:
    # The lines that people write, from the day before each change until it has passed.
    lines = ("0 0 * * *", "30 2 * * *", "0 */2 * * *", "*/30 * * * *", "0 12 * * 6", "0 6 26-31 * *")
    rng = random.Random(SEED)
    cases = [
        Case(rng.choice(lines), zone, change - rng.randint(1, 30) * 3600)
        for zone in ZONES
        for change in clock_changes(zone)
    ]
    assert len(cases) > 2000
    assert differences(oracle, cases, count=8) == []


def test_every_zone_of_the_tz_data(oracle: Oracle) -> None:
    # Also far ahead, where the zone files end and their rule goes on.
    bases = (1_782_000_000, 2_500_000_000, 4_000_000_000)
    cases = [Case("0 */6 1,15 */2 *", zone, base) for zone in sorted(zone_names()) for base in bases]
    assert differences(oracle, cases, count=30) == []


def test_verdicts_on_mistyped_lines(oracle: Oracle) -> None:
    lines = [line for line in mistyped_lines(random.Random(SEED), 6000 * TIMES) if "TZ" not in line]
    asked, ours = [], []
    for line in lines:
        try:
            asked.append(parse_cron(line).canonical)
            ours.append(True)
        except CronSyntaxError:
            asked.append(line.strip(GO_BLANKS))
            ours.append(False)
    answers = oracle({"schedule": line, "zone": "UTC"} for line in asked)
    wrong = [
        (line, verdict)
        for line, text, verdict, answer in zip(lines, asked, ours, answers, strict=True)
        if answer["accepted"] != verdict and not (text.startswith("@every ") and not verdict)
    ]
    assert wrong == []
    assert 0.15 < sum(ours) / len(ours) < 0.85


def test_lines_that_never_fire(oracle: Oracle) -> None:
    # `fires` is about the calendar alone, robfig about five years; they agree wherever February 29 comes in time.
    rng = random.Random(SEED)
    lines = [case.line for case in firing_cases(rng, 600)]
    lines += [
        f"0 0 {day} {month} {dow}" for day in (29, 30, 31) for month in range(1, 13) for dow in ("*", "1", "*/2", ",")
    ]
    lines += [", * * * *", "* , * * *", "* * , * *", "* * * , *", "* * * * ,", "* * , * ,", "* * , * 1", "0 0 30 2 ?"]
    answers = oracle(
        {"schedule": parse_cron(line).canonical, "zone": "UTC", "base": 1_782_000_000, "count": 1} for line in lines
    )
    wrong = [
        line for line, answer in zip(lines, answers, strict=True) if parse_cron(line).fires != bool(answer["times"])
    ]
    assert wrong == []
    assert sum(not answer["times"] for answer in answers) > 10


def test_day_of_week_seven_is_the_expanded_line(oracle: Oracle) -> None:
    cases = []
    for start in range(8):
        for step in range(1, 10):
            days = ",".join(str(day % 7) for day in range(start, 8, step))
            for dom in ("*", "13", "*/2"):
                cases.append((f"0 0 {dom} * {start}-7/{step}", f"0 0 {dom} * {days}"))
        days = ",".join(str(day % 7) for day in range(start, 8))
        cases += [(f"0 0 {dom} * {start}-7", f"0 0 {dom} * {days}") for dom in ("*", "13", "*/2")]
    cases += [("0 0 13 * 7", "0 0 13 * 0"), ("0 0 13 * 07,3", "0 0 13 * 0,3"), ("0 0 * * 7/2", "0 0 * * 0")]
    cases += [("0 0 13 * fri-7", "0 0 13 * 5,6,0"), ("0 0 13 * *,7", "0 0 13 * *"), ("0 0 * * +7", "0 0 * * 0")]
    base = 1_782_000_000
    answers = oracle({"schedule": line, "zone": "UTC", "base": base, "count": 20} for _, line in cases)
    for (line, _), answer in zip(cases, answers, strict=True):
        assert our_times(parse_cron(line), Case(line, "UTC", base), 20) == answer["times"], line
    canonical = oracle(
        {"schedule": parse_cron(line).canonical, "zone": "UTC", "base": base, "count": 20} for line, _ in cases
    )
    assert canonical == answers


def test_names_of_zones(oracle: Oracle) -> None:
    names = ["EST5EDT", "Etc/GMT+8", "Asia/Calcutta", "UTC", "CST", "UTC+8", "+08:00", "asia/shanghai", "../x", "Asia"]
    names += [
        "Asia/",
        "/Asia/Tokyo",
        "Asia/Tokyo ",
        "zone.tab",
        "Asia\\Tokyo",
        "__init__.py",
        "Zulu",
        "GMT0",
        "tzdata.zi",
    ]
    answers = oracle({"zone": name} for name in names)
    for name, answer in zip(names, answers, strict=True):
        try:
            load_zone(name)
            known = True
        except UnknownTimeZoneError:
            known = False
        assert known == answer["accepted"], name
