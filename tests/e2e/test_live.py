"""A running Pod seen while it runs: its lines as server-sent events, and how far it says it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from support.cluster import Rest, Space, eventually, kubectl
from support.sse import Event, iterate_events

LINES = 20
DEADLINE_SECONDS = 90


@contextmanager
def follow(rest: Rest, execution_id: str, query: str = "", **headers: str) -> Iterator[Iterator[Event]]:
    url = f"{rest.url}/api/v1/scheduler/executions/{execution_id}/logs/stream{query}"
    headers |= {"Authorization": f"Bearer {rest.token}"}
    with httpx.stream("GET", url, headers=headers, timeout=DEADLINE_SECONDS) as response:
        assert response.status_code == 200, response.read()
        yield iterate_events(response.iter_lines())


def take(events: Iterator[Event], count: int) -> list[Event]:
    lines = (event for event in events if event.name == "message")
    return [event for _, event in zip(range(count), lines, strict=False)]


def contents(events: list[Event]) -> list[str]:
    return [event.json["content"] for event in events if event.name == "message"]


def started(alice: Rest, space: Space, name: str) -> tuple[int, str]:
    """Waits until the task's execution runs; (task id, execution id)."""
    task_id = space.task_id(name)
    (run,) = eventually(
        lambda: [e for e in alice.executions(task_id) if e["status"] == "RUNNING"],
        seconds=DEADLINE_SECONDS,
        what=f"{name} to run",
    )
    return task_id, run["execution_id"]


def of_task(running: list[dict[str, Any]], task_id: int) -> dict[str, Any] | None:
    return next((item for item in running if item["task_id"] == task_id), None)


@pytest.mark.takes(30)
def test_lines_are_followed_while_the_pod_runs_and_after(space: Space, alice: Rest, bob: Rest) -> None:
    script = f"for i in $(seq {LINES}); do echo line $i; sleep 1; done"
    space.apply_task("talks", script, scheduleType="Once")
    _, execution_id = started(alice, space, "talks")
    with follow(alice, execution_id) as events:
        first = take(events, 3)
    status = alice.data("GET", f"/executions/{execution_id}")["status"]
    assert status == "RUNNING", "the lines came before the end"
    with follow(alice, execution_id, **{"Last-Event-ID": str(first[-1].id)}) as events:
        rest = list(events)
    assert contents(first) + contents(rest) == [f"line {number}" for number in range(1, LINES + 1)]
    assert (rest[-1].name, rest[-1].json["status"], rest[-1].json["exit_code"]) == ("end", "SUCCESS", 0)
    with follow(alice, execution_id) as events:
        after = list(events)
    assert contents(after) == contents(first) + contents(rest)
    assert after[-1] == rest[-1]
    path = f"/executions/{execution_id}/logs/stream"
    assert alice.call("GET", path, headers={"Last-Event-ID": "end"}).status_code == 204
    assert bob.call("GET", path).status_code == 404


@pytest.mark.takes(50)
def test_attempts_come_one_after_another_each_to_its_last_line(space: Space, alice: Rest) -> None:
    # The first attempt is silent for so long that its output is looked at rarely, and speaks just before it ends.
    script = "echo begun; sleep 12; echo last words; exit 3"
    space.apply_task("fails", script, scheduleType="Once", backoffLimit=1)
    _, execution_id = started(alice, space, "fails")
    with follow(alice, execution_id) as events:
        seen = list(events)
    assert [(event.name, event.json.get("attempt"), event.json.get("content")) for event in seen[:-1]] == [
        ("attempt", 1, None),
        ("message", 1, "begun"),
        ("message", 1, "last words"),
        ("attempt", 2, None),
        ("message", 2, "begun"),
        ("message", 2, "last words"),
    ]
    assert (seen[-1].name, seen[-1].json["status"]) == ("end", "FAILED")
    attempts = alice.data("GET", f"/executions/{execution_id}/attempts")
    assert [(attempt["number"], attempt["status"], attempt["exit_code"]) for attempt in attempts] == [
        (1, "FAILED", 3),
        (2, "FAILED", 3),
    ]
    assert alice.log(execution_id, attempt=2) == ["begun", "last words"]
    with follow(alice, execution_id, "?attempt=1") as events:
        assert contents(list(events)) == ["begun", "last words"]


def test_what_runs_says_how_far_it_is(space: Space, alice: Rest, bob: Rest) -> None:
    script = "echo '2024-01-01 02:00:30 [INFO] 数据处理进度: 50%'; sleep 600 & trap 'exit 0' TERM; wait"
    space.apply_task("counts", script, scheduleType="Once")
    task_id, execution_id = started(alice, space, "counts")

    def progress() -> Any:
        running = of_task(alice.data("GET", "/running"), task_id)
        return running and running["progress"]

    half = {"current_step": "数据处理", "progress_percent": 50}
    eventually(lambda: progress() == half, seconds=DEADLINE_SECONDS, what="the progress of the output")
    running = of_task(alice.data("GET", "/running"), task_id)
    assert running is not None
    assert set(running) == {
        *("task_id", "task_name", "execution_id", "start_time", "running_time", "status", "progress")
    }
    assert (running["execution_id"], running["status"]) == (execution_id, "RUNNING")
    assert of_task(bob.data("GET", "/running"), task_id) is None
    (pod,) = space.names("pods")
    kubectl("annotate", "-n", space.namespace, pod, "cronwright.dev/progress=80% 写入")
    written = {"current_step": "写入", "progress_percent": 80}
    eventually(lambda: progress() == written, seconds=DEADLINE_SECONDS, what="the progress of the annotation")
    assert alice.data("GET", f"/executions/{execution_id}")["progress"] == written
    kubectl("delete", "-n", space.namespace, "scheduledtask/counts")
    eventually(lambda: progress() is None, seconds=DEADLINE_SECONDS, what="it to run no more")


def test_two_follow_the_same_run(space: Space, alice: Rest) -> None:
    space.apply_task("shared", "for i in $(seq 5); do echo line $i; sleep 1; done", scheduleType="Once")
    _, execution_id = started(alice, space, "shared")
    seen: list[list[str]] = []

    def read() -> None:
        with follow(alice, execution_id) as events:
            seen.append(contents(list(events)))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    end = time.monotonic() + DEADLINE_SECONDS
    for reader in readers:
        reader.join(max(0.0, end - time.monotonic()))
    assert seen == [[f"line {number}" for number in range(1, 6)]] * 2
