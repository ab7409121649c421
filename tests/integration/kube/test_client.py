"""The client against a real API server: lists, watches, patches, errors - what no fake can promise."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from cronwright_core.domain import naming
from cronwright_core.domain.project import Workspace
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import (
    KubeAlreadyExists,
    KubeConflict,
    KubeInvalid,
    KubeNotFound,
    is_another_object,
    is_gone,
)
from cronwright_core.kube.ports import Json, PatchKind
from cronwright_core.kube.reflector import Reflector
from cronwright_core.kube.resources import CRON_JOBS, JOBS, PROJECTS, SCHEDULED_TASKS, Resource
from cronwright_core.kube.status import replace_status
from cronwright_core.kube.workloads import to_cronjob
from cronwright_operator.reconciling import actions
from cronwright_operator.reconciling.manifests import build_cronjob
from support.builders import make_project, make_task
from support.cluster import OWN_CONTEXTS, kubectl
from support.decisions import decide, of

Result = TypeVar("Result")


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    context = kubectl("config", "current-context").strip()
    allowed = OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")}
    assert context in allowed, f"the context {context!r} is not one that `make up` made"
    name = f"kube-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def run(work: Callable[[KubeClient], Awaitable[Result]]) -> Result:
    async def scenario() -> Result:
        client = await KubeClient.connect(user_agent="cronwright-tests")
        try:
            async with asyncio.timeout(60):
                return await work(client)
        finally:
            await client.close()

    return asyncio.run(scenario())


def job(name: str, **metadata: Any) -> Json:
    """A Job that never starts."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"test": "yes"}, **metadata},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "task", "image": "none:1"}]}},
        },
    }


def test_each_request_is_observed_with_its_verb_resource_and_status(namespace: str) -> None:
    seen: list[tuple[str, str, int]] = []

    async def work() -> None:
        client = await KubeClient.connect(
            user_agent="cronwright-tests", observe=lambda verb, resource, code, _: seen.append((verb, resource, code))
        )
        try:
            async with asyncio.timeout(30):
                await client.create(JOBS, namespace, job("seen"))
                listing = await client.list(JOBS, namespace)
                async for _ in client.watch(JOBS, namespace, resource_version="0"):
                    break
                assert listing.items
                await client.patch(JOBS, namespace, "seen", {"status": {}}, subresource="status")
                await client.delete(JOBS, namespace, "seen")
                with pytest.raises(KubeNotFound):
                    await client.get(JOBS, namespace, "never")
        finally:
            await client.close()

    asyncio.run(work())
    assert seen == [
        ("create", "jobs", 201),
        ("list", "jobs", 200),
        ("watch", "jobs", 200),
        ("patch", "jobs/status", 200),
        ("delete", "jobs", 200),
        ("get", "jobs", 404),
    ]


def test_create_read_patch_delete(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        made = await client.create(JOBS, namespace, job("one"))
        with pytest.raises(KubeAlreadyExists):
            await client.create(JOBS, namespace, job("one"))
        patched = await client.patch(JOBS, namespace, "one", {"metadata": {"annotations": {"a": "1"}}})
        assert patched["metadata"]["annotations"]["a"] == "1"
        stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "annotations": {"a": "2"}}}
        with pytest.raises(KubeConflict):
            await client.patch(JOBS, namespace, "one", stale)
        with pytest.raises(KubeInvalid) as another:
            await client.patch(JOBS, namespace, "one", {"metadata": {"uid": str(uuid.uuid4())}})
        assert is_another_object(another.value)
        with pytest.raises(KubeConflict):
            await client.delete(JOBS, namespace, "one", uid=str(uuid.uuid4()))
        await client.delete(JOBS, namespace, "one", uid=made["metadata"]["uid"])
        with pytest.raises(KubeNotFound):
            await client.get(JOBS, namespace, "one")

    run(work)


def test_a_strategic_patch_adds_a_finalizer_beside_others_and_a_json_patch_takes_ours_alone(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        await client.create(JOBS, namespace, job("held", finalizers=["example.com/other"]))
        add = {"metadata": {"finalizers": ["cronwright.dev/record"]}}
        body = await client.patch(JOBS, namespace, "held", add, kind=PatchKind.STRATEGIC)
        assert set(body["metadata"]["finalizers"]) == {"example.com/other", "cronwright.dev/record"}
        index = body["metadata"]["finalizers"].index("cronwright.dev/record")
        path = f"/metadata/finalizers/{index}"
        wrong = [{"op": "test", "path": path, "value": "example.com/other"}, {"op": "remove", "path": path}]
        with pytest.raises(KubeInvalid):
            await client.patch(JOBS, namespace, "held", wrong, kind=PatchKind.JSON)
        right = [{"op": "test", "path": path, "value": "cronwright.dev/record"}, {"op": "remove", "path": path}]
        body = await client.patch(JOBS, namespace, "held", right, kind=PatchKind.JSON)
        assert body["metadata"]["finalizers"] == ["example.com/other"]
        await client.patch(JOBS, namespace, "held", {"metadata": {"finalizers": None}})

    run(work)


def test_what_the_schema_refuses_names_the_field(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        task = {
            "apiVersion": "cronwright.dev/v1",
            "kind": "ScheduledTask",
            "metadata": {"name": "bad"},
            "spec": {"projectName": "p", "scheduleType": "Interval", "schedule": "5", "maxInstances": 0},
        }
        with pytest.raises(KubeInvalid) as refused:
            await client.create(SCHEDULED_TASKS, namespace, task)
        assert "spec.maxInstances" in [cause.field for cause in refused.value.causes]

    run(work)


def test_status_is_written_by_its_subresource_only(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        body = {
            "apiVersion": "cronwright.dev/v1",
            "kind": "Project",
            "metadata": {"name": "quiet"},
            "spec": {"image": "x:1"},
        }
        made = await client.create(PROJECTS, namespace, body)
        patch = {"status": {"observedGeneration": 77}}
        ignored = await client.patch(PROJECTS, namespace, "quiet", patch)
        assert ignored.get("status", {}).get("observedGeneration") != 77
        written = await client.patch(PROJECTS, namespace, "quiet", patch, subresource="status")
        assert written["status"]["observedGeneration"] == 77
        assert written["metadata"]["generation"] == made["metadata"]["generation"]

    run(work)


def test_a_status_is_never_written_to_another_object_of_the_name(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        body = {
            "apiVersion": "cronwright.dev/v1",
            "kind": "Project",
            "metadata": {"name": "renewed"},
            "spec": {"image": "x:1"},
        }
        old = (await client.create(PROJECTS, namespace, body))["metadata"]["uid"]
        written = await replace_status(
            client, PROJECTS, namespace, "renewed", old, {"projectId": 7, "conditions": None}
        )
        assert written["status"]["projectId"] == 7
        await client.delete(PROJECTS, namespace, "renewed")
        await client.create(PROJECTS, namespace, body)
        with pytest.raises(KubeNotFound):
            await replace_status(client, PROJECTS, namespace, "renewed", old, {"projectId": 8})
        current = await client.get(PROJECTS, namespace, "renewed")
        assert current.get("status", {}).get("projectId") != 8
        with pytest.raises(KubeInvalid, match="projectId"):
            await replace_status(
                client, PROJECTS, namespace, "renewed", current["metadata"]["uid"], {"projectId": "seven"}
            )

    run(work)


def test_an_object_that_is_gone_is_told_from_a_kind_that_is_not_known(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        for resource, gone in ((SCHEDULED_TASKS, True), (replace(SCHEDULED_TASKS, plural="nothings"), False)):
            with pytest.raises(KubeNotFound) as error:
                await client.get(resource, namespace, "nobody")
            assert is_gone(error.value) is gone

    run(work)


def test_a_status_is_written_only_onto_the_one_that_was_seen(namespace: str) -> None:
    body = build_cronjob(make_task(), make_project(), cron_line="0 0 1 1 *", suspend=True)
    body["metadata"] = {"name": "overtaken"}
    first, second = "2026-03-02T10:00:00Z", "2026-03-02T10:01:00Z"

    async def work(client: KubeClient) -> None:
        uid = (await client.create(CRON_JOBS, namespace, body))["metadata"]["uid"]
        seen: dict[str, Any] = {"lastScheduleTime": None, "lastSuccessfulTime": None}
        where = (client, CRON_JOBS, namespace, "overtaken", uid)
        await replace_status(*where, {"lastScheduleTime": first}, decided_on=seen)
        with pytest.raises(KubeConflict):
            await replace_status(*where, {"lastSuccessfulTime": second}, decided_on=seen)
        seen["lastScheduleTime"] = first
        await client.patch(CRON_JOBS, namespace, "overtaken", {"metadata": {"annotations": {"x": "y"}}})
        await replace_status(*where, {"lastScheduleTime": second}, decided_on=seen)
        with pytest.raises(KubeConflict):
            await replace_status(*where, {"lastScheduleTime": first}, decided_on=seen)
        assert (await client.get(CRON_JOBS, namespace, "overtaken"))["status"] == {"lastScheduleTime": second}

    run(work)


def test_a_replaced_spec_keeps_what_the_server_defaults_and_nothing_of_the_old(namespace: str) -> None:
    task, given = make_task(schedule="0 0 1 1 *"), make_project(service_account_name="deployer")
    kueue = replace(task, queue_labels={naming.KUEUE_QUEUE_LABEL: "q"})
    rich = replace(
        given.spec,
        image_pull_secrets=("s",),
        security_context={"fsGroup": 7},
        workspace=Workspace("c", "/w"),
        node_selector={"disk": "ssd"},
        tolerations=({"key": "dedicated", "operator": "Exists"},),
        pod_annotations={"team": "data"},
    )
    line = {"cron_line": "0 0 1 1 *", "suspend": True}
    before = build_cronjob(kueue, replace(given, spec=rich), priority_class="high", **line)
    plain = build_cronjob(task, make_project(), **line)
    for body in (before, plain):
        body["metadata"].pop("ownerReferences")
        body["metadata"]["namespace"] = namespace
    fresh = {**plain, "metadata": {**plain["metadata"], "name": "fresh"}}

    async def work(client: KubeClient) -> None:
        made = to_cronjob(await client.create(CRON_JOBS, namespace, before))
        (update,) = of(decide(task, cronjob=replace(made, spec_hash=None, suspend=False)), actions.UpdateCronJob)
        written = await client.patch(CRON_JOBS, namespace, made.name, update.patch, kind=PatchKind.STRATEGIC)
        wanted = (await client.create(CRON_JOBS, namespace, fresh))["spec"]
        assert {**written["spec"], "suspend": True} == wanted

    run(work)


def test_the_live_copy_sees_creations_changes_and_deletions(namespace: str) -> None:
    async def work(client: KubeClient) -> None:
        changes: list[tuple[bool, bool]] = []
        seen = asyncio.Event()

        def listener(old: Json | None, new: Json | None) -> None:
            changes.append((old is not None, new is not None))
            if new is None:
                seen.set()

        await client.create(JOBS, namespace, job("before"))
        reflector = Reflector(client, JOBS, namespaces=(namespace,), label_selector="test=yes", listener=listener)
        task = asyncio.create_task(reflector.run())
        await reflector.wait_synced()
        assert len(list(reflector)) >= 1
        await client.create(JOBS, namespace, job("unseen", labels={"test": "no"}))
        await client.patch(JOBS, namespace, "before", {"metadata": {"annotations": {"x": "y"}}})
        await client.delete(JOBS, namespace, "before")
        await seen.wait()
        assert (False, True) in changes
        assert (True, True) in changes
        assert "before" not in [body["metadata"]["name"] for body in reflector]
        assert "unseen" not in [body["metadata"]["name"] for body in reflector]
        assert reflector.age_seconds() < 30
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(work)


def test_a_watch_loses_nothing_of_large_and_small_objects_that_come_while_nobody_reads(namespace: str) -> None:
    """An event comes in as many pieces as the network likes, and a piece holds as many events as have come."""
    config_maps = Resource("", "v1", "configmaps", "ConfigMap")
    texts = {f"c{number:02}": str(number % 10) * (900_000 if number % 5 == 0 else 10) for number in range(20)}

    async def work(client: KubeClient) -> None:
        begin = await client.list(config_maps, namespace)
        watch = client.watch(config_maps, namespace, resource_version=begin.resource_version, label_selector="test=yes")
        seen: dict[str, str] = {}
        reads = []
        for name, text in texts.items():
            metadata = {"name": name, "labels": {"test": "yes"}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}
            await client.create(config_maps, namespace, body)
            if name == "c00":
                reads.append(len(await anext(watch)))  # it is open now; nobody reads what follows
                seen["c00"] = text
        while len(seen) < len(texts):
            events = await anext(watch)
            reads.append(len(events))
            seen |= {event.object["metadata"]["name"]: event.object["data"]["text"] for event in events}
        assert seen == texts
        assert max(reads) > 1, "small ones come together"

    run(work)
