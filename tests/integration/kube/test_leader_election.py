"""Two real operators on a real API server: one writes, the other takes over, and an old one never writes again.

What is believed is what reaches the API server: each operator has a door of its own (`support.api_server_proxy`), and a
third party edits a task all the time, so that whoever leads has something to write. The three scenarios wait for a
lease to run out (10 s) and therefore run side by side, each in a namespace that the installation leaves alone.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.api_server_proxy import Call, Door, doors
from support.cluster import OWN_CONTEXTS, eventually, kubectl
from support.operator_process import OperatorProcess, operator_process
from support.postgres import fresh_database

TAKEOVER_SECONDS = 15
"""What is promised: from the end of the old one to the new one's Lease."""
PATIENCE = 60
WAYS = ("killed", "stopped", "cut")


@dataclass
class Outcome:
    """What a scenario saw; times are those of `time.monotonic`."""

    old: list[Call]
    new: list[Call]
    ended: float
    """When the old one was killed, stopped or cut."""
    last_said_to_lead: float = 0.0
    returned: float = 0.0
    """When it went on, or its line was mended."""
    schedule: tuple[str, str] = ("", "")
    """Of the task and of its CronJob at the end."""

    @property
    def taken(self) -> float:
        """When the new one took the Lease."""
        return next(call.arrived for call in self.new if call.takes_lease and call.arrived > self.ended)

    def delivered_writes(self, since: float) -> list[Call]:
        """What the old one wrote after a moment."""
        return [call for call in self.old if call.is_write and call.delivered is not None and call.delivered > since]


class Scene:
    """A namespace with one task, a leading operator and a waiting one."""

    def __init__(self, namespace: str, door: Door, first: OperatorProcess, second: OperatorProcess) -> None:
        self.namespace, self.old, self.new = namespace, first, second
        self._door = door
        self._editing = threading.Event()
        self._done = threading.Event()

    def task(self) -> dict[str, Any]:
        return self._get(f"/apis/cronwright.dev/v1/namespaces/{self.namespace}/scheduledtasks/edited")

    def cronjobs(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(f"/apis/batch/v1/namespaces/{self.namespace}/cronjobs")["items"]
        return items

    def holder(self) -> str:
        lease = self._get(f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/election")
        return str(lease["spec"]["holderIdentity"])

    @contextmanager
    def edits(self) -> Iterator[None]:
        """Somebody changes the task's schedule several times a second, unless `pause` is set."""
        thread = threading.Thread(target=self._edit)
        self._editing.set()
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._editing.set()
            thread.join(30)

    def rest(self) -> None:
        """No more edits, until what was edited is written."""
        self._editing.clear()
        self.settle()

    def go_on(self) -> None:
        self._editing.set()

    def settle(self) -> tuple[str, str]:
        """Waits until the CronJob follows the task, and nothing more is being written; returns both schedules."""

        def same() -> tuple[str, str] | None:
            wanted = self.task()["spec"]["schedule"]
            found = [item["spec"]["schedule"] for item in self.cronjobs()]
            return (wanted, wanted) if found == [wanted] else None

        found = eventually(same, seconds=PATIENCE, what="the CronJob to follow its task")
        eventually(lambda: not self._is_writing(0.5), seconds=PATIENCE, what="the last write")
        return found

    def _is_writing(self, seconds: float) -> bool:
        newest = max((call.arrived for door in (self.old.door, self.new.door) for call in door.writes()), default=0.0)
        return time.monotonic() - newest < seconds

    def _edit(self) -> None:
        path = f"/apis/cronwright.dev/v1/namespaces/{self.namespace}/scheduledtasks/edited"
        day = 1
        while not self._done.is_set():
            self._editing.wait()
            day = day % 28 + 1
            body = json.dumps({"spec": {"schedule": f"0 0 {day} 1 *"}})
            headers = {"Content-Type": "application/merge-patch+json"}
            httpx.patch(self._door.url + path, content=body, headers=headers, timeout=30, trust_env=False)
            self._done.wait(0.3)

    def _get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(self._door.url + path, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def scene(way: str, folder: Path, url: str) -> Iterator[Scene]:
    namespace = f"cronwright-election-{way}"

    def make() -> bool:
        kubectl("create", "namespace", namespace)
        return True

    # The one of an earlier run may still be going away.
    eventually(make, seconds=PATIENCE, what=f"a namespace {namespace} of one's own")
    with ExitStack() as stack:
        stack.callback(lambda: kubectl("delete", "namespace", namespace, "--wait=false"))
        editor, *own = stack.enter_context(doors(3))
        names = (f"{way}-first", f"{way}-second")
        first = stack.enter_context(operator_process(names[0], own[0], folder, url, namespace))
        kubectl("apply", "-n", namespace, "-f", "-", document=project())
        kubectl("apply", "-n", namespace, "-f", "-", document=task())
        found = Scene(namespace, editor, first, first)
        eventually(found.cronjobs, seconds=PATIENCE, what="the first operator to work")
        second = stack.enter_context(operator_process(names[1], own[1], folder, url, namespace))
        found.new = second
        eventually(second.answers, seconds=PATIENCE, what="the second operator to be ready")
        eventually(lambda: own[1].calls, seconds=PATIENCE, what="the second operator to look at the Lease")
        with found.edits():
            eventually(lambda: len(first.door.writes()) > 10, seconds=PATIENCE, what="the first operator to write")
            assert found.holder() == names[0]
            assert second.door.writes() == [], "two write"
            assert {call.path.rsplit("/", 2)[1] for call in second.door.calls} == {"leases"}, "waiting must be cheap"
            yield found
        # The one that leads takes everything away again.
        kubectl("delete", "scheduledtasks", "--all", "-n", namespace)


def project() -> dict[str, Any]:
    spec = {"owner": "nobody", "displayName": "election", "image": "none"}
    return {"apiVersion": "cronwright.dev/v1", "kind": "Project", "metadata": {"name": "p"}, "spec": spec}


def task() -> dict[str, Any]:
    # Once a year: what is written is the CronJob, and no Pod ever runs.
    spec = {"projectName": "p", "displayName": "edited", "scheduleType": "Cron", "schedule": "0 0 1 1 *"}
    return {"apiVersion": "cronwright.dev/v1", "kind": "ScheduledTask", "metadata": {"name": "edited"}, "spec": spec}


def wait_for_successor(found: Scene) -> None:
    begun = len(found.new.door.writes())
    eventually(lambda: len(found.new.door.writes()) > begun + 5, seconds=PATIENCE, what="the second operator to write")


def kill(found: Scene) -> Outcome:
    found.old.send(signal.SIGKILL)
    ended = time.monotonic()
    wait_for_successor(found)
    found.rest()
    return Outcome(found.old.door.calls, found.new.door.calls, ended, schedule=found.settle())


def stop(found: Scene) -> Outcome:
    # At rest: a write that was checked before the signal and not sent yet would be sent when the process goes on.
    found.rest()
    found.old.send(signal.SIGSTOP)
    ended = time.monotonic()
    found.go_on()
    wait_for_successor(found)
    # Everything that was edited meanwhile lies in its watches' buffers: it wakes up wanting to write.
    found.old.send(signal.SIGCONT)
    returned = time.monotonic()
    wait_until_it_waits(found, returned)
    found.rest()
    return Outcome(found.old.door.calls, found.new.door.calls, ended, returned=returned, schedule=found.settle())


def cut(found: Scene) -> Outcome:
    found.old.door.cut()
    ended = said = time.monotonic()
    begun = len(found.new.door.writes())
    end = ended + PATIENCE
    while len(found.new.door.writes()) <= begun + 5:
        if found.old.leads:
            said = time.monotonic()
        assert time.monotonic() < end, "the second operator never wrote"
        time.sleep(0.05)
    found.old.door.mend()
    returned = time.monotonic()
    wait_until_it_waits(found, returned)
    found.rest()
    return Outcome(found.old.door.calls, found.new.door.calls, ended, said, returned, found.settle())


def wait_until_it_waits(found: Scene, since: float) -> None:
    """Until the old one looks at the Lease again, twice, and so has had its chance to write."""

    def looks() -> bool:
        calls = [call for call in found.old.door.calls if call.arrived > since]
        return len([call for call in calls if call.method == "GET" and "/leases/" in call.path]) >= 2

    eventually(looks, seconds=PATIENCE, what="the old operator to wait for the Lease")


PLAY: dict[str, Callable[[Scene], Outcome]] = {"killed": kill, "stopped": stop, "cut": cut}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    context = kubectl("config", "current-context").strip()
    allowed = OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")}
    assert context in allowed, f"the context {context!r} is not one that `make up` made"

    def play(way: str, folder: Path, url: str) -> Outcome:
        with scene(way, folder, url) as found:
            return PLAY[way](found)

    with ExitStack() as stack:
        own = {way: (tmp_path_factory.mktemp(way), stack.enter_context(fresh_database())) for way in WAYS}
        pool = stack.enter_context(ThreadPoolExecutor(len(WAYS)))
        yield {way: pool.submit(play, way, *own[way]) for way in WAYS}


@pytest.mark.parametrize("way", WAYS)
def test_the_second_takes_over_and_the_first_never_writes_again(
    outcomes: dict[str, Future[Outcome]], way: str, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcomes[way].result(timeout=300)
    record_property("takeover_seconds", round(outcome.taken - outcome.ended, 1))
    assert outcome.taken - outcome.ended < TAKEOVER_SECONDS
    first = min(call.arrived for call in outcome.new if call.is_write)
    assert first > outcome.taken, "a write without the Lease"
    assert outcome.delivered_writes(since=outcome.taken) == [], "two wrote"
    assert outcome.schedule[0] == outcome.schedule[1], "an edit was lost"


def test_one_that_was_stopped_takes_nothing_back(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes["stopped"].result(timeout=300)
    after = [call for call in outcome.old if call.arrived > outcome.returned]
    assert after, "it went on"
    assert [call for call in after if call.is_write or call.takes_lease] == []


def test_one_that_is_cut_off_stops_by_itself_first(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes["cut"].result(timeout=300)
    assert outcome.last_said_to_lead < outcome.taken
    tried = [call for call in outcome.old if call.is_write and call.arrived > outcome.ended]
    assert tried, "it was in the midst of writing"
    assert max(call.arrived for call in tried) < outcome.taken, "not even a try"
    assert outcome.delivered_writes(since=outcome.ended + 0.5) == [], "nor is one delivered when the line is mended"
