"""`cronwright release`: what it finds, in which order it acts, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.kube.errors import KubeConflict, KubeForbidden, KubeInvalid, KubeNotFound
from cronwright_core.kube.ports import Listing
from cronwright_core.kube.resources import Resource
from cronwright_operator.release import command, standstill
from cronwright_operator.release.held import build_release_patch, held_jobs, live_cronjobs

Json = dict[str, Any]
LABELS = {naming.MANAGED_BY_LABEL: naming.MANAGED_BY, naming.TASK_UID_LABEL: "u", naming.TASK_NAME_LABEL: "nightly"}


def job(name: str, *, finalizers: list[str] | None = None, status: Json | None = None, **metadata: Any) -> Json:
    return {
        "metadata": {
            "namespace": "team-a",
            "name": name,
            "uid": f"uid-{name}",
            "labels": LABELS,
            "annotations": {naming.EXECUTION_ANNOTATION: f"exec-{name}"},
            "finalizers": [naming.FINALIZER] if finalizers is None else finalizers,
            **metadata,
        },
        "spec": {},
        "status": status or {"active": 1},
    }


def cronjob(name: str, *, suspend: bool = False, labels: Json | None = None, **metadata: Any) -> Json:
    labels = LABELS if labels is None else labels
    metadata = {"namespace": "team-a", "name": name, "uid": f"uid-{name}", "labels": labels, **metadata}
    return {"metadata": metadata, "spec": {"suspend": suspend}}


class Server:
    """An API server: writes are written down; what stands in `refuse` is raised once."""

    def __init__(self, *objects: tuple[str, Json], lease: Json | None = None) -> None:
        self.objects = list(objects)
        self.lease = lease
        self.writes: list[str] = []
        self.selectors: list[str] = []
        self.refuse: dict[str, list[Exception]] = {}

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        assert label_selector == ""
        self.selectors.append(field_selector)
        self._maybe(f"list {namespace}")
        field, _, name = field_selector.partition("=")
        found = [
            body
            for plural, body in self.objects
            if plural == resource.plural and (field != "metadata.name" or name == body["metadata"]["name"])
        ]
        return Listing([b for b in found if namespace in (None, b["metadata"]["namespace"])], "1")

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        if resource.plural != "leases":
            raise AssertionError("the uninstallation's account may list, not get")
        if self.lease is None:
            raise KubeNotFound(404, "NotFound", name)
        return {"metadata": {"name": name}, "spec": dict(self.lease)}

    async def patch(self, resource: Resource, namespace: str, name: str, patch: Any, **_: Any) -> Json:
        self._maybe(f"patch {name}")
        self.writes.append(f"patch {resource.plural}/{name}")
        return {}

    async def replace(self, resource: Resource, namespace: str, name: str, body: Json) -> Json:
        self._maybe(f"replace {name}")
        self.writes.append(f"replace {resource.plural}/{namespace}/{name} by {body['spec']['holderIdentity']}")
        return body

    async def close(self) -> None:
        self.writes.append("close")

    def _maybe(self, what: str) -> None:
        if self.refuse.get(what):
            raise self.refuse[what].pop(0)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    for variable in (
        "CRONWRIGHT_WATCH_NAMESPACES",
        "CRONWRIGHT_IGNORE_NAMESPACES",
        "CRONWRIGHT_LEASE_NAME",
        "POD_NAMESPACE",
    ):
        monkeypatch.delenv(variable, raising=False)

    async def no_sleep(_: float) -> None:
        return None

    monkeypatch.setattr(standstill.asyncio, "sleep", no_sleep)

    def run(server: Server, *arguments: str) -> int:
        async def connect(*, user_agent: str) -> Server:
            assert user_agent == "cronwright-release"
            return server

        monkeypatch.setattr(command.KubeClient, "connect", connect)
        return command.run(arguments)

    return run


def test_held_are_the_jobs_with_our_finalizer_whatever_their_labels() -> None:
    bodies = [
        job("b", finalizers=["other/x", naming.FINALIZER], deletionTimestamp="2026-03-02T10:00:00Z"),
        job("a", labels={}, status={"conditions": [{"type": "Failed", "status": "True"}]}),
        job("free", finalizers=["other/x"]),
    ]
    first, second = held_jobs(bodies)
    assert (first.name, first.task, first.state, first.finalizer_index) == ("a", "-", "failed", 0)
    assert (second.name, second.task, second.state, second.finalizer_index) == (
        *("b", "nightly", "running, being deleted", 1),
    )
    assert build_release_patch(second) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-b"},
        {"op": "test", "path": "/metadata/finalizers/1", "value": naming.FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/1"},
    ]


def test_live_are_the_cronjobs_of_tasks_that_fire() -> None:
    bodies = [
        cronjob("ours"),
        cronjob("paused", suspend=True),
        cronjob("somebodys", labels={}),
        cronjob("going", deletionTimestamp="2026-03-02T10:00:00Z"),
    ]
    assert [found.name for found in live_cronjobs(bodies)] == ["ours"]


def test_what_is_lost_is_said_before_anything_goes(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(("jobs", job("a")), ("jobs", job("b")))
    assert run(server, "--namespace", "team-a") == 0
    assert server.writes == ["patch jobs/a", "patch jobs/b", "close"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "2 executions whose record is not known to be committed:"
    assert said[1].split() == ["team-a/a", "task", "nightly", "exec-a", "running"]
    assert said[3] == "2 of 2 Jobs released"


def test_a_dry_run_writes_nothing(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lease = {"holderIdentity": "pod-1"}
    server = Server(("jobs", job("a")), ("cronjobs", cronjob("c")), lease=lease)
    assert run(server, "--all", "--suspend-cronjobs", "--dry-run", "--lease", "sys/op") == 0
    assert server.writes == ["close"]
    said = capsys.readouterr().out
    assert "would suspend CronJob team-a/c of task nightly" in said
    assert "team-a/a" in said
    assert "nothing was changed" in said


def test_the_operator_stands_still_before_cronjobs_are_suspended(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRONWRIGHT_LEASE_NAME", "op")
    monkeypatch.setenv("POD_NAMESPACE", "sys")
    server = Server(("jobs", job("a")), ("cronjobs", cronjob("c")), lease={"holderIdentity": "pod-1"})
    server.refuse["replace op"] = [KubeConflict(409, "Conflict", "renewed meanwhile")]
    assert run(server, "--all", "--suspend-cronjobs") == 0
    assert server.writes == [
        "replace leases/sys/op by cronwright-release",
        "patch cronjobs/c",
        "patch jobs/a",
        "close",
    ]
    assert "the operator pod-1 has been stopped" in capsys.readouterr().out


def test_without_a_lease_there_is_nobody_to_stop(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(("cronjobs", cronjob("c")))
    assert run(server, "--all", "--suspend-cronjobs", "--lease", "sys/op") == 0
    assert run(server, "--all", "--suspend-cronjobs") == 0
    assert "would undo the suspension" in capsys.readouterr().err


def test_another_installations_namespaces_are_left_alone(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONWRIGHT_IGNORE_NAMESPACES", "second")
    server = Server()
    assert run(server, "--all") == 0
    assert run(server, "--namespace", "second") == 0, "named, it is meant"
    assert server.selectors == ["metadata.namespace!=second", ""]


def test_a_list_that_moved_is_looked_at_again_and_what_is_gone_is_done(run: Any) -> None:
    moved = job("a", finalizers=["other/x", naming.FINALIZER])
    server = Server(("jobs", moved))
    server.refuse["patch a"] = [KubeInvalid(422, "Invalid", "test failed")]
    assert run(server, "-n", "team-a") == 0
    assert server.writes == ["patch jobs/a", "close"]
    server = Server(("jobs", job("a")))
    server.refuse["patch a"] = [KubeNotFound(404, "NotFound", "a")]
    assert run(server, "-n", "team-a") == 0


def test_one_that_is_refused_does_not_stop_the_rest(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(("jobs", job("a")), ("jobs", job("b")))
    server.refuse["patch a"] = [KubeForbidden(403, "Forbidden", "no right to patch jobs")]
    assert run(server, "-n", "team-a") == 1
    assert server.writes == ["patch jobs/b", "close"]
    said = capsys.readouterr()
    assert "1 of 2 Jobs released" in said.out
    assert "no right to patch jobs" in said.err


@pytest.mark.parametrize(
    ("arguments", "namespace", "words"),
    [(["--all"], None, "name the namespaces with --namespace"), (["-n", "b"], "b", "administrator's kubeconfig")],
)
def test_a_missing_right_says_what_to_do(
    run: Any, arguments: list[str], namespace: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server()
    server.refuse[f"list {namespace}"] = [KubeForbidden(403, "Forbidden", "jobs.batch is forbidden")]
    assert run(server, *arguments) == 1
    assert words in capsys.readouterr().err


def test_all_is_what_is_served(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONWRIGHT_WATCH_NAMESPACES", "team-b, team-c")
    server = Server(("jobs", job("a")), ("jobs", job("b", namespace="team-b")))
    assert run(server, "--all") == 0
    assert server.writes == ["patch jobs/b", "close"]


@pytest.mark.parametrize(
    "arguments", [[], ["--all", "-n", "a"], ["-n", "a", "--lease", "op"], ["-n", "a", "--lease", "a/b/c"]]
)
def test_wrong_usage(run: Any, arguments: list[str]) -> None:
    assert run(Server(), *arguments) == 2
