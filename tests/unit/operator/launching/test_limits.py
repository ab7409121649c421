"""The limits as they stand in tasks, Projects and settings."""

from __future__ import annotations

from typing import Any

from cronwright_core.domain.gate import Limits
from cronwright_operator.cache import DefinitionCache
from cronwright_operator.launching.limits import build_limits

LONG = "p" * 70


def filled(**task: Any) -> tuple[DefinitionCache, Limits]:
    cache = DefinitionCache(lambda *_: None, lambda _: None)
    metadata = {"namespace": "team-a", "resourceVersion": "1", "creationTimestamp": "2026-03-02T10:00:00Z"}
    spec = {"projectName": "p", "schedule": "* * * * *", "maxInstances": 3}
    cache.put_task({"metadata": {**metadata, "name": "t", "uid": "t", **task}, "spec": spec})
    for name, limit in (("p", 2), ("free", None), (LONG, 5)):
        body = {"image": "busybox", **({"maxConcurrentExecutions": limit} if limit else {})}
        cache.put_project({"metadata": {**metadata, "name": name, "uid": name}, "spec": body})
    return cache, build_limits(cache, total=0, unrecorded=7)


def test_each_limit_is_read_where_it_stands() -> None:
    cache, limits = filled()
    assert (limits.tasks["t"], list(limits.tasks), len(limits.tasks)) == (3, ["t"], 1)
    assert limits.projects.get("team-a/p") == 2
    assert limits.projects.get("team-a/free") is None
    assert limits.projects.get("team-a/none") is None
    assert limits.projects.get(f"team-a/{LONG[:63]}") == 5, "a Job's label holds no more of a Project's name"
    assert sorted(limits.projects) == ["team-a/p", f"team-a/{LONG[:63]}"]
    assert len(limits.projects) == 2
    assert (limits.total, limits.unrecorded) == (None, 7), "0 is no limit"
    other = build_limits(cache, total=5, unrecorded=0)
    assert (other.total, other.unrecorded) == (5, None)
    cache.remove_project("p")
    assert limits.projects.get("team-a/p") is None


def test_nothing_of_a_task_that_goes_starts_any_more() -> None:
    cache, limits = filled()
    cache.remove_task("t")
    assert limits.tasks.get("t") == 0
    _, limits = filled(deletionTimestamp="2026-03-02T10:00:00Z")
    assert limits.tasks.get("t") == 0
