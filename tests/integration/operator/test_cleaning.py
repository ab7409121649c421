"""Cleaning workspaces against a real PostgreSQL: what is given to the Jobs, what is recorded, and every crash between.

The cluster is a fake that runs a cleaning Job the moment it is asked to: by the real program, on a real folder.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.execution import ExecutionStatus
from cronwright_core.domain.project import Workspace
from cronwright_core.domain.workspaces import request_value
from cronwright_core.kube.codec import build_project
from cronwright_core.kube.errors import KubeForbidden, KubeUnreachable
from cronwright_core.kube.ports import Json, Listing
from cronwright_core.kube.resources import JOBS, PROJECTS, Resource
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.session import Database
from cronwright_core.store.workspaces import WorkspaceStore
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.workspaces import cleaning
from cronwright_operator.workspaces.clean import clean, parse_entry
from cronwright_operator.workspaces.cleaning import WorkspaceCleaning
from cronwright_operator.workspaces.job import CleanerImage, claim_of
from support.fake_objects import FakeObjects
from support.postgres import execute
from support.store_rows import NOW, add_project, add_task, make_execution, make_project_spec

Status = ExecutionStatus
LOST = KubeUnreachable("no answer")
DAY = timedelta(days=1)


class Cluster:
    """A Project with a volume (a folder), executions with directories in it, and the operator's part."""

    def __init__(self, database: Database, volume: Path) -> None:
        self.now = NOW
        self.volume = volume
        self.store = WorkspaceStore(database)
        self.executions = ExecutionStore(database)
        self.project_id = add_project(database)
        self.task_id = add_task(database, project_id=self.project_id)
        self.objects = FakeObjects(NOW, namespaces=["team"])
        spec = make_project_spec("data", workspace=Workspace("data"))
        body = build_project("team", "project-data", spec, project_id=self.project_id)
        made = asyncio.run(self.objects.create(PROJECTS, "team", body))
        self.uid = made["metadata"]["uid"]
        self.jobs: list[Json] = []
        self.runs = True
        self.lost_claims: set[str] = set()
        self.pods: dict[str, Json] = {}
        self.claims: list[str] = []
        self.again: list[str] = []
        self.restart()

    def restart(self) -> None:
        """A successor: nothing but the cluster and the database is left."""
        self.cache = DefinitionCache(lambda *_: None, lambda _: None)
        self.cleaning = WorkspaceCleaning(
            client=self.objects,
            lists=self,  # type: ignore[arg-type]
            cache=self.cache,
            jobs=lambda: self.jobs,
            pods_of=lambda _: (),
            store=self.store,
            image=CleanerImage("cronwright:1", "IfNotPresent"),
            look_again=lambda uid, _: self.again.append(uid),
            now=lambda: self.now,
        )

    async def list(self, resource: Resource, namespace: str | None, *, label_selector: str = "", **_: str) -> Listing:
        uid = label_selector.partition("=")[2]
        return Listing([self.pods[uid]] if uid in self.pods else [], "1")

    def add(
        self, number: int, status: Status = Status.SUCCESS, *, age: timedelta = 3 * DAY, claim: str = "data"
    ) -> Path:
        """An execution that ended so long ago, with a directory of 10 kB."""
        name = f"job-{number}"
        execution = make_execution(
            self.task_id,
            self.now - age - timedelta(seconds=number),
            status,
            seconds=0,
            job_name=name,
            project_id=self.project_id,
            workspace_claim=claim,
        )
        self.executions.record([execution])
        folder = self.volume / name
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * 10_000)
        return folder

    def ask(self, hours: int = 24, id_: str = "request-1") -> None:
        value = request_value(max_age_hours=hours, by="root", at=self.now)
        patch = {"metadata": {"annotations": {naming.CLEANUP_PREFIX + id_: value}}}
        asyncio.run(self.objects.patch(PROJECTS, "team", "project-data", patch))

    def step(self) -> None:
        """The kubelet runs what is there, the operator sees the Project and works."""
        self._run_jobs()
        body = self.objects.objects["projects", "team", "project-data"]
        self.cache.put_project({**body, "status": {"projectId": self.project_id}})
        asyncio.run(self.cleaning.sync(self.uid))

    def _run_jobs(self) -> None:
        for (plural, _, _), job in self.objects.objects.items():
            uid = job["metadata"]["uid"]
            if plural != "jobs" or uid in self.pods or not self.runs:
                continue
            if "status" not in job:
                self.claims.append(claim_of(job))
            if claim_of(job) in self.lost_claims:
                failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
                job["status"] = {"conditions": [failed]}
                continue
            arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
            report = clean(str(self.volume), [parse_entry(text) for text in arguments if "=" in text])
            terminated = {"exitCode": 0, "message": report.to_json()}
            self.pods[uid] = {"status": {"containerStatuses": [{"state": {"terminated": terminated}}]}}
            job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}

    def asked(self) -> list[str]:
        annotations = self.objects.objects["projects", "team", "project-data"]["metadata"].get("annotations") or {}
        return [key for key in annotations if key.startswith(naming.CLEANUP_PREFIX)]

    def until_done(self, steps: int = 20) -> None:
        for _ in range(steps):
            self.step()
            if not self.asked():
                return
        raise AssertionError(f"not done: {self.asked()}, {self.objects.calls}")

    def left(self) -> list[str]:
        """The directories that the next request will be given."""
        request = self.store.begin("next", self.project_id, requested_by=None, requested_at=NOW, cutoff=NOW)
        found = self.store.directories(self.project_id, "team", request, claim="data", limit=10)
        return [directory.name for directory in found]

    def result(self, id_: str = "request-1") -> Any:
        (found,) = self.store.cleanups(id_, [self.project_id])
        return found


@pytest.fixture
def cluster(database: Database, tmp_path: Path) -> Cluster:
    return Cluster(database, tmp_path)


def test_old_directories_go_and_are_counted(cluster) -> None:
    old = [cluster.add(number) for number in range(3)]
    young = cluster.add(10, age=timedelta(hours=1))
    cluster.ask(hours=24)
    cluster.until_done()
    assert [folder.exists() for folder in old] == [False] * 3
    assert young.exists()
    found = cluster.result()
    assert (found.directories_removed, found.directories_failed, found.problem) == (3, 0, None)
    assert found.bytes_freed >= 3 * 10_000
    assert found.oldest_removed == NOW - 3 * DAY - timedelta(seconds=2)
    assert found.finished_at == NOW
    assert [key for key in cluster.objects.objects if key[0] == "jobs"] == []


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
def test_unfinished_executions_are_never_touched(cluster, status) -> None:
    folder = cluster.add(1, status)
    cluster.ask(hours=0)
    cluster.until_done()
    assert folder.exists()
    assert cluster.result().directories_removed == 0


def test_a_job_that_still_runs_keeps_its_directory_whatever_the_record_says(cluster) -> None:
    folder, other = cluster.add(1), cluster.add(2)
    cluster.jobs = [
        {
            "metadata": {
                "namespace": "team",
                "name": "job-1",
                "uid": "u",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {},
            },
            "spec": {"template": {"spec": {"containers": [{"name": "task"}]}}},
            "status": {},
        }
    ]
    cluster.ask()
    cluster.until_done()
    assert (folder.exists(), other.exists()) == (True, False)


def test_two_requests_at_once_count_each_directory_once(cluster) -> None:
    for number in range(4):
        cluster.add(number)
    cluster.ask(id_="request-1")
    cluster.ask(id_="request-2")
    cluster.until_done()
    first, second = cluster.result("request-1"), cluster.result("request-2")
    assert first.directories_removed + second.directories_removed == 4
    assert cluster.objects.calls.count(f"create jobs/{_job_name(cluster)}") == 1


def _job_name(cluster: Cluster) -> str:
    return next(call for call in cluster.objects.calls if call.startswith("create jobs/")).removeprefix("create jobs/")


def test_asking_again_finds_nothing_more(cluster) -> None:
    cluster.add(1)
    cluster.ask(id_="request-1")
    cluster.until_done()
    cluster.ask(id_="request-2")
    cluster.until_done()
    assert (cluster.result("request-1").directories_removed, cluster.result("request-2").directories_removed) == (1, 0)


def test_an_operator_that_dies_after_each_step(cluster) -> None:
    """Nothing of a process survives any step, and every write's answer may be lost."""
    old = [cluster.add(number) for number in range(3)]
    cluster.ask()
    for number in range(40):
        cluster.restart()
        cluster.objects.lose_next = LOST if number % 2 else None
        try:
            cluster.step()
        except KubeUnreachable:
            continue
        finally:
            cluster.objects.lose_next = None
        if not cluster.asked():
            break
    assert [folder.exists() for folder in old] == [False] * 3
    assert cluster.result().directories_removed == 3


def test_a_report_is_counted_once_if_the_job_could_not_be_removed(cluster) -> None:
    cluster.add(1)
    cluster.ask()
    cluster.step()
    for _ in range(3):
        cluster._run_jobs()
        cluster.restart()
        cluster.objects.fail_next = None
        real = cluster.objects.delete

        async def failing(*_: Any, **__: Any) -> None:
            raise LOST

        cluster.objects.delete = failing  # type: ignore[method-assign]
        with pytest.raises(KubeUnreachable):
            cluster.step()
        cluster.objects.delete = real  # type: ignore[method-assign]
    cluster.until_done()
    assert cluster.result().directories_removed == 1


def test_a_directory_that_cannot_be_removed_is_a_problem_and_stays_due(cluster) -> None:
    block(cluster.add(1))
    other = cluster.add(2)
    cluster.ask()
    cluster.until_done()
    found = cluster.result()
    assert (found.directories_removed, found.directories_failed) == (1, 1)
    assert "job-1" in found.problem
    assert not other.exists()
    assert cluster.left() == ["job-1"]


def block(folder: Path) -> None:
    """Puts something in a directory's place that the cleaner does not remove."""
    (folder / "file").unlink()
    folder.rmdir()
    folder.write_text("a file in its place")


def test_directories_that_cannot_be_removed_hold_up_no_other(cluster, monkeypatch) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 2)
    for number in (7, 8, 9):
        block(cluster.add(number))
    others = [cluster.add(number) for number in (1, 2)]
    cluster.ask()
    cluster.until_done()
    assert [folder.exists() for folder in others] == [False, False]
    found = cluster.result()
    assert (found.directories_removed, found.directories_failed) == (2, 3)
    assert "job-9" in found.problem
    # The next request tries them again, behind what it has not tried yet.
    cluster.add(0)
    assert cluster.left() == ["job-0", "job-9", "job-8", "job-7"]


def test_a_volume_that_is_gone_holds_up_no_other(cluster) -> None:
    """The Project has got another claim, and the old one was deleted with what is the oldest."""
    cluster.lost_claims.add("old")
    for number in (8, 9):
        cluster.add(number, claim="old")
    other = cluster.add(1)
    cluster.ask()
    cluster.until_done()
    assert not other.exists()
    found = cluster.result()
    assert (found.directories_removed, found.claims_left) == (1, ("old",))
    assert "DeadlineExceeded" in found.problem
    assert cluster.claims == ["data", "old"]
    cluster.add(2)
    assert cluster.left() == ["job-2", "job-9", "job-8"]


def test_a_batch_of_another_namespace_holds_up_none_of_this(cluster, database_url, monkeypatch) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 1)
    cluster.add(9)
    execute(database_url, "UPDATE executions SET namespace = 'elsewhere'")
    folder = cluster.add(1)
    cluster.ask()
    cluster.until_done()
    assert not folder.exists()


def test_a_job_that_leaves_no_report(cluster) -> None:
    cluster.add(1)
    cluster.runs = False
    cluster.ask()
    cluster.step()
    job = cluster.objects.only(JOBS)
    assert cluster.result().finished_at is None
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "was active too long"}
    job["status"] = {"conditions": [failed]}
    cluster.until_done()
    assert "DeadlineExceeded" in cluster.result().problem
    assert cluster.left() == ["job-1"]


def test_a_job_that_is_refused_is_a_problem(cluster) -> None:
    cluster.add(1)
    cluster.ask()
    real = cluster.objects.create

    async def refusing(*_: Any, **__: Any) -> Json:
        raise KubeForbidden(403, "Forbidden", "exceeded quota: jobs")

    cluster.objects.create = refusing  # type: ignore[method-assign]
    cluster.until_done()
    cluster.objects.create = real  # type: ignore[method-assign]
    assert "exceeded quota" in cluster.result().problem


def test_somebody_elses_job_of_that_name_is_not_believed(cluster) -> None:
    cluster.add(1)
    cluster.runs = False
    cluster.ask()
    cluster.step()
    cluster.objects.only(JOBS)["metadata"]["ownerReferences"] = []
    cluster.until_done()
    assert "somebody else" in cluster.result().problem


@pytest.mark.parametrize("value", ["soon", '{"max_age_hours": -1}'])
def test_a_request_that_cannot_be_understood_is_taken_off(cluster, value) -> None:
    folder = cluster.add(1)
    patch = {"metadata": {"annotations": {f"{naming.CLEANUP_PREFIX}x": value}}}
    asyncio.run(cluster.objects.patch(PROJECTS, "team", "project-data", patch))
    cluster.until_done()
    assert folder.exists()


def test_by_schedule(cluster, database_url) -> None:
    old, young = cluster.add(1), cluster.add(2, age=timedelta(hours=1))
    real = [(cluster.uid,)]
    execute(database_url, f"UPDATE projects SET cr_uid = '{real[0][0]}'")
    asyncio.run(cluster.cleaning.schedule(DAY))
    assert cluster.again == [cluster.uid]
    for _ in range(5):
        cluster.step()
    assert (old.exists(), young.exists()) == (False, True)
    cluster.again.clear()
    asyncio.run(cluster.cleaning.schedule(DAY))
    assert cluster.again == []


def test_the_job_is_restricted_and_nobodys_execution(cluster) -> None:
    cluster.add(1)
    cluster.runs = False
    cluster.ask()
    cluster.step()
    job = cluster.objects.only(JOBS)
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]] == ["data"]
    assert naming.MANAGED_BY_LABEL not in job["metadata"]["labels"]
    assert job["spec"]["backoffLimit"] == 0


def test_the_project_says_as_whom(cluster) -> None:
    spec = replace(make_project_spec("data"), security_context={"runAsUser": 0, "fsGroup": 2000})
    body = cluster.objects.objects["projects", "team", "project-data"]
    body["spec"] = build_project("team", "project-data", spec)["spec"]
    cluster.add(1)
    cluster.runs = False
    cluster.ask()
    cluster.step()
    context = cluster.objects.only(JOBS)["spec"]["template"]["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"], context["supplementalGroups"]) == (0, False, [2000])
