"""When a Job may be gone for good: nobody would make it again. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronwright_core.domain.cluster import CronJobFacts, JobFacts
from cronwright_core.domain.schedule import ScheduleType
from cronwright_core.domain.task import ScheduledTask
from cronwright_core.domain.times import lags

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(seconds=30)


def hold_for(
    job: JobFacts, task: ScheduledTask | None, cronjob: CronJobFacts | None, *, offset: timedelta, now: datetime
) -> timedelta | None:
    """How long a recorded Job keeps its finalizer until this is asked again; None: it may be let go of.

    Anybody may delete a Job without our finalizer, at any moment, so it must be known from elsewhere that its tick or
    request is done. Mostly that stands in the task's status by then. While that waits to be written (many ticks at
    once), the CronJob's tells of a tick that is due and was not claimed. `offset` is the task's share of its spread.
    """
    if not would_come_back(job, task, cronjob):
        return None
    ahead = job.tick + offset - now if job.tick is not None else timedelta()
    told = (
        task is not None
        and cronjob is not None
        and cronjob.uid == job.owner_uid
        and job.tick is not None
        and job.tick == cronjob.last_schedule_time != task.status.claimed_time
    )
    if told and ahead <= timedelta() and job.deletion_time is None:
        return None
    return min(max(ahead, SHORTEST), LONGEST)


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
