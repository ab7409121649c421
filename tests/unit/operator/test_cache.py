"""Tasks and projects as last seen: newest wins, a deleted one stays deleted."""

from __future__ import annotations

from typing import Any

from cronwright_operator.cache import DefinitionCache


def body(version: int, *, uid: str = "t1", project: str = "data", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "ns",
            "name": "a-task",
            "uid": uid,
            "generation": 1,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-03-02T10:00:00Z",
        },
        "spec": {"projectName": project, "scheduleType": "Cron", "schedule": "* * * * *", "image": "x", **spec},
    }


def make() -> tuple[DefinitionCache, list[str]]:
    woken: list[str] = []
    return DefinitionCache(lambda uid, _: woken.append(uid), lambda uid: woken.append(f"project {uid}")), woken


def test_an_older_version_is_ignored() -> None:
    cache, woken = make()
    cache.put_task(body(5, description="new"))
    cache.put_task(body(4, description="old"))
    task = cache.task("t1")
    assert task is not None
    assert (task.spec.description, woken) == ("new", ["t1"])


def test_what_is_told_of_a_task_wakes_nobody_that_decides() -> None:
    # A Job is refused each time with other words (a webhook's request id): written, and come back.
    woken: list[str] = []
    told: list[str] = []
    cache = DefinitionCache(lambda uid, _: woken.append(uid), lambda _: None, told.append)
    for version in (5, 6, 7):
        words = {"type": "Ready", "status": "False", "reason": "JobRefused", "message": f"refused, request {version}"}
        words |= {"lastTransitionTime": "2026-03-02T10:00:00Z", "observedGeneration": 1}
        cache.put_task(body(version) | {"status": {"conditions": [words], "taskId": 1}})
    task = cache.task("t1")
    assert task is not None
    assert (woken, told, task.status.conditions[0].message) == (["t1"], ["t1", "t1"], "refused, request 7")
    moved = {"conditions": [words], "taskId": 1, "lastScheduleTime": "2026-03-02T10:01:00Z"}
    cache.put_task(body(8) | {"status": moved})
    cache.put_task(body(9, suspend=True) | {"status": {**moved, "conditions": []}})
    assert (woken, told) == (["t1"] * 3, ["t1"] * 2), "whatever else changes with them counts"


def test_a_late_list_brings_no_ghost() -> None:
    cache, _ = make()
    cache.put_task(body(5))
    cache.remove_task("t1")
    cache.put_task(body(5))
    assert cache.task("t1") is None
    cache.remove_task("never seen")
    cache.put_task(body(3, uid="never seen"))
    assert cache.task("never seen") is None


def test_the_last_sight_of_a_task_without_an_id_is_kept_of_the_newest_thousand() -> None:
    cache, _ = make()
    for number in range(1001):
        cache.put_task(body(5, uid=f"t{number}", description=f"number {number}"))
        cache.remove_task(f"t{number}")
    cache.put_task(body(5, uid="known") | {"status": {"taskId": 1}})
    cache.remove_task("known")
    kept = [uid for number in range(1001) if cache.last_seen(uid := f"t{number}") is not None]
    assert (len(kept), kept[0]) == (1000, "t1")
    assert cache.last_seen("known") is None, "its row tells whose its runs are"
    seen = cache.last_seen("t7")
    assert seen is not None
    assert seen.spec.description == "number 7"


def test_a_project_wakes_its_tasks_when_it_matters() -> None:
    cache, woken = make()
    cache.put_task(body(5))
    project = body(6, uid="p1")
    project["metadata"]["name"] = "data"
    cache.put_project(project)
    assert woken == ["t1", "project p1", "t1"]
    changed = {**project, "metadata": {**project["metadata"], "resourceVersion": "7"}}
    cache.put_project(changed)
    assert woken[3:] == ["project p1"], "a change of its status alone concerns no task"
    cache.remove_project("p1")
    assert woken[-1] == "t1"


def test_what_cannot_be_read_is_left_alone() -> None:
    cache, woken = make()
    broken = body(5)
    del broken["spec"]["projectName"]
    cache.put_task(broken)
    assert woken == []


def test_it_tells_what_somebody_asks_for_from_what_comes_about() -> None:
    told: list[bool] = []
    cache = DefinitionCache(lambda _, asked: told.append(asked), lambda _: None)
    new, edited, triggered = body(1), body(3, schedule="5 * * * *"), body(4, schedule="5 * * * *")
    edited["metadata"]["generation"] = triggered["metadata"]["generation"] = 2
    triggered["metadata"]["annotations"] = {"trigger.cronwright.dev/abc": '{"by": "alice"}'}
    for seen in (new, {**body(2), "status": {"taskId": 7}}, edited, triggered):
        cache.put_task(seen)
    cache.remove_task("t1")
    assert told == [True, False, True, True, False]
