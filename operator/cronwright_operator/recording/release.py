"""When a Job may be gone for good: nobody would make it again. Pure."""

from __future__ import annotations

from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import lags


def would_come_back(job: JobFacts, task: ScheduledTask | None, cronjob: CronJobFacts | None) -> bool:
    """Whether somebody would make the Job once more if it were not there.

    A tick that the CronJob's lastScheduleTime does not cover is made again by the CronJob controller (tried), one that
    the task's does not cover by us; a manual run comes back while its request still stands on the task.
    """
    if task is None or task.deleting:
        return False
    if job.request_key is not None:
        return any(request.key == job.request_key for request in task.triggers)
    once = task.spec.schedule_type is ScheduleType.ONCE and not task.spec.schedule
    if once and job.tick == (task.status.anchor_time or task.creation_time) and task.status.completion_time is None:
        return True
    if job.tick is None or lags(task.status.last_schedule_time, job.tick):
        return True
    if job.owner_kind != "CronJob" or cronjob is None or cronjob.uid != job.owner_uid:
        return False
    if cronjob.suspend or cronjob.deleting:
        return False  # it makes nothing, and its time is moved before it does again
    return lags(cronjob.last_schedule_time, job.tick)
