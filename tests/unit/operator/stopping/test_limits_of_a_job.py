"""The limits of a task travel with its Jobs: they hold after an edit, and after the task is gone."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_core.domain.cluster import JobFacts
from cronwright_core.kube.workloads import to_job
from cronwright_operator.reconciling.manifests import build_cronjob, build_request_job
from support.builders import CREATED, make_project, make_task

TASK = make_task(timeout_seconds=30, pending_deadline_seconds=20, retry_count=2)


def stored(metadata: dict[str, Any], spec: dict[str, Any]) -> JobFacts:
    made = {"name": "j", "namespace": "team-a", "uid": "j1", "creationTimestamp": "2026-03-02T10:00:00Z"}
    return to_job({"metadata": {**made, **metadata}, "spec": spec})


def ours() -> JobFacts:
    body = build_request_job(TASK, make_project(), request_key="k", time=CREATED, requested_by="alice")
    return stored(body["metadata"], body["spec"])


def controllers() -> JobFacts:
    cronjob = build_cronjob(TASK, make_project(), cron_line="* * * * *", suspend=False)
    template = cronjob["spec"]["jobTemplate"]
    return stored(template["metadata"], template["spec"])


@pytest.mark.parametrize("job", [ours(), controllers()], ids=["ours", "the CronJob controller's"])
def test_every_job_carries_them(job: JobFacts) -> None:
    assert (job.pod_deadline_seconds, job.pending_deadline_seconds, job.backoff_limit) == (30, 20, 2)
    assert job.deadline_seconds == 30 + 20 + 30 + 60, "the back-stop leaves room for waiting, the limit and the grace"
