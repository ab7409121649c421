"""logs, history and next: from the record, and from the cluster when there is none to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.ticks import spread_offset
from cronwright_core.domain.times import from_rfc3339, to_rfc3339
from cronwright_core.plugin import logs as logs_module
from cronwright_core.plugin.errors import NoRestApi, PluginError
from cronwright_core.plugin.history import history, next_runs
from cronwright_core.plugin.logs import LogOptions, logs
from cronwright_core.plugin.rest import ServerEvent
from support.plugin_world import COMPLETE, UID, FakeKubectl, job, pod, task

NOW = from_rfc3339("2026-03-02T10:00:30Z")
OLD, NEW = (naming.execution_id(UID, "Adhoc", from_rfc3339(f"2026-03-02T0{hour}:00:00Z"), "k") for hour in (8, 9))


class Api:
    """A REST API that answers what it was given; an exception is raised."""

    def __init__(self, answers: dict[str, Any], events: list[ServerEvent] | None = None) -> None:
        self.answers, self.events = answers, events or []
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, query))
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def follow(self, path: str, **query: Any) -> Iterator[ServerEvent]:
        self.asked.append((path, query))
        yield from self.events


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "POLL_SECONDS", 0)
    monkeypatch.setattr(logs_module, "KNOWN_SECONDS", 0.05)


def with_run() -> FakeKubectl:
    """A task whose newest run has ended, with one Pod."""
    made = job(
        "run", annotations={naming.EXECUTION_ANNOTATION: NEW, naming.REQUEST_KEY_ANNOTATION: "k"}, status=COMPLETE
    )
    seen = task(status={"lastExecutionId": NEW, "active": []})
    return FakeKubectl(seen, jobs=[made], pods=[pod("run-1", made)])


def show(kubectl: FakeKubectl, api: Api | None, target: str = "nightly", **options: Any) -> int:
    return logs(kubectl, api, target, LogOptions(**options))  # type: ignore[arg-type]


def test_the_record_is_asked_for_the_newest_execution(capsys: pytest.CaptureFixture[str]) -> None:
    path = f"/executions/{NEW}/logs/file"
    api = Api({path: {"data": {"content": ["第一行", "b"], "log_incomplete": True}}})
    assert show(with_run(), api, tail=5, error=True) == 0
    assert api.asked == [(path, {"lines": 5, "log_type": "error", "attempt": None})]
    said = capsys.readouterr()
    assert said.out == "第一行\nb\n"
    assert "could not be read" in said.err


def test_a_run_that_was_just_asked_for_is_the_newest(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = with_run()
    (seen,) = kubectl.all_tasks
    asked = '{"time": "2026-03-02T09:59:00Z", "by": "kubectl"}'
    seen["metadata"]["annotations"] = {naming.TRIGGER_PREFIX + "k2": asked, naming.TRIGGER_PREFIX + "by-hand": "now"}
    id_ = naming.execution_id(UID, "Adhoc", from_rfc3339("2026-03-02T09:59:00Z"), "k2")
    assert show(kubectl, Api({f"/executions/{id_}/logs/file": {"data": {"content": []}}})) == 0
    assert id_ in capsys.readouterr().err


def test_an_execution_needs_no_task() -> None:
    api = Api({f"/executions/{OLD}/logs/file": {"data": {"content": []}}})
    assert show(FakeKubectl(), api, OLD) == 0


def test_following_prints_lines_and_tells_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        ServerEvent("attempt", {"attempt": 1}, "1-stdout-0"),
        ServerEvent("", {"content": "one"}, "1-stdout-1"),
        ServerEvent("attempt", {"attempt": 2}, "2-stdout-0"),
        ServerEvent("", {"content": "two"}, "2-stdout-1"),
        ServerEvent("end", {"status": "FAILED", "exit_code": 2}, "end"),
    ]
    assert show(with_run(), Api({f"/executions/{NEW}": {}}, events), follow=True) == 0
    said = capsys.readouterr()
    assert said.out == "one\ntwo\n"
    assert said.err.splitlines()[-2:] == ["cronwright: attempt 2", "cronwright: FAILED, exit code 2"]


@pytest.mark.parametrize("api", [None, Api({f"/executions/{NEW}/logs/file": NoRestApi("http://x: refused")})])
def test_without_the_record_the_pods_are_asked_and_it_is_said(
    api: Api | None, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl = with_run()
    assert show(kubectl, api, tail=3) == 0
    assert kubectl.shown == [("logs", "run-1", "-c", "task", "--tail=3")]
    assert "what the Pods still have" in capsys.readouterr().err


def test_a_refusal_of_the_record_is_not_an_absence() -> None:
    kubectl = with_run()
    with pytest.raises(PluginError, match="403"):
        show(kubectl, Api({f"/executions/{NEW}/logs/file": PluginError("the REST API answered 403: no")}))
    assert kubectl.shown == []


def test_following_pods_shows_every_attempt_once() -> None:
    kubectl = with_run()
    (made,) = kubectl.all_jobs
    kubectl.all_pods = [pod("run-2", made, second=9), pod("run-1", made, phase="Failed", code=1)]
    assert show(kubectl, None, follow=True) == 0
    assert [arguments[1] for arguments in kubectl.shown] == ["run-1", "run-2"]
    assert show(kubectl, None, attempt=1) == 0
    assert kubectl.shown[-1][1] == "run-1"


def test_what_is_gone_is_said_with_where_it_still_is() -> None:
    kubectl = with_run()
    kubectl.all_jobs = []
    with pytest.raises(PluginError, match="its output is in the record"):
        show(kubectl, None)
    with pytest.raises(PluginError, match="has not run yet"):
        show(FakeKubectl(task()), None)


def table(kubectl: FakeKubectl, api: Api | None, **options: Any) -> int:
    given = {"limit": 20, "headers": True, "as_json": False, **options}
    return history(kubectl, api, "nightly", **given)  # type: ignore[arg-type]


def test_history_from_the_record_and_from_the_cluster_have_the_same_columns(capsys: pytest.CaptureFixture[str]) -> None:
    item = {
        "execution_id": NEW,
        "kind": "Adhoc",
        "status": "SUCCESS",
        "scheduled_time": None,
        "start_time": "2026-03-02T10:00:01Z",
        "duration_seconds": 4,
        "exit_code": 0,
        "reason": None,
    }
    api = Api({"/tasks/7/executions": {"items": [item]}})
    assert table(with_run(), api) == 0
    recorded = capsys.readouterr()
    assert api.asked == [("/tasks/7/executions", {"size": 20})]
    assert recorded.err == ""
    assert table(with_run(), None) == 0
    seen = capsys.readouterr()
    assert "still in the cluster" in seen.err
    assert seen.out == recorded.out
    assert seen.out.splitlines()[1].split() == [
        *(NEW, "Adhoc", "SUCCESS", "2026-03-02T09:00:00Z", "2026-03-02T10:00:01Z", "4s", "0", "-")
    ]


def test_history_as_json_and_without_headers(capsys: pytest.CaptureFixture[str]) -> None:
    table(with_run(), None, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["execution"], row["exit_code"], row["reason"]) == (NEW, 0, None)
    table(with_run(), None, headers=False)
    assert capsys.readouterr().out.startswith(NEW)


def test_next_runs_show_the_zone_and_its_clock_changes(capsys: pytest.CaptureFixture[str]) -> None:
    zone = {"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}
    seen = task(spec=zone, status={"nextScheduleTime": "2026-03-28T01:30:00Z"})
    assert next_runs(FakeKubectl(seen), "nightly", count=2, headers=True, now=from_rfc3339("2026-03-27T12:00:00Z")) == 0  # type: ignore[arg-type]
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    assert rows == [
        ["LOCAL", "(Europe/Berlin)", "UTC", "IN"],
        ["2026-03-28T02:30:00+01:00", "2026-03-28T01:30:00Z", "13h30m"],
        ["2026-03-30T02:30:00+02:00", "2026-03-30T00:30:00Z", "2d12h"],
    ]
    assert "02:30" in said.err
    assert "does not exist and is skipped" in said.err


def test_next_runs_say_by_how_much_they_are_spread(capsys: pytest.CaptureFixture[str]) -> None:
    offset = spread_offset(UID, 3000)
    starts = [to_rfc3339(from_rfc3339(f"2026-03-28T{hour}:00:00Z") + offset) for hour in (10, 11)]
    seen = task(spec={"schedule": "0 * * * *", "spreadSeconds": 3000}, status={"nextScheduleTime": starts[0]})
    now = from_rfc3339("2026-03-28T09:55:00Z")
    assert next_runs(FakeKubectl(seen), "nightly", count=2, headers=False, now=now) == 0  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert [line.split()[1] for line in said.out.splitlines()] == starts
    assert "after its time (spreadSeconds 3000)" in said.err


@pytest.mark.parametrize(
    ("spec", "words"), [({"suspend": True}, "is paused"), ({"scheduleType": "Once", "schedule": ""}, "no further run")]
)
def test_no_next_run(spec: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert next_runs(FakeKubectl(task(spec=spec)), "nightly", count=5, headers=True, now=NOW) == 0  # type: ignore[arg-type]
    assert words in capsys.readouterr().err
