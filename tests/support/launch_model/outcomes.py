"""What the history says, against what Jobs and Pods did: whatever a program did is recorded as that, whoever asked for
a run finds it there, and none that ended otherwise lacks its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cronwright_core.kube.codec import to_task
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import JOBS, PODS, SCHEDULED_TASKS
from cronwright_core.kube.workloads import to_job
from cronwright_operator.reconciling.observed import execution_id_of
from support.launch_model.database import Row

_ENDS = frozenset({"SUCCESS", "FAILED", "TIMEOUT", "CANCELLED"})


@dataclass
class Outcomes:
    """A hook of the API server. `wrong` is asked when all has come to rest."""

    succeeded: set[str] = field(default_factory=set)
    """Uids of Jobs of which a Pod ended with 0."""
    accepted: dict[str, str] = field(default_factory=dict)
    """Job uid -> execution id, of the Jobs that the operator has made or accepted."""
    asked: set[tuple[str, str]] = field(default_factory=set)
    """(task uid, key) of the manual runs that were asked for."""
    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Job uid -> (task uid, key)."""
    stand: set[str] = field(default_factory=set)
    """Uids of the tasks that are there."""

    def changed(self, plural: str, by: str, old: Json | None, new: Json | None) -> None:
        if plural == PODS.plural and new is not None and new["status"]["phase"] == "Succeeded":
            self.succeeded.add(new["metadata"]["ownerReferences"][0]["uid"])
        elif plural == JOBS.plural and new is not None:
            job = to_job(new)
            id_ = execution_id_of(job)
            if job.accepted and id_ is not None:
                self.accepted[job.uid] = id_
            if job.request_key is not None:
                self.made[job.uid] = (job.task_uid, job.request_key)
        elif plural == SCHEDULED_TASKS.plural:
            if new is None and old is not None:
                self.stand.discard(old["metadata"]["uid"])
            elif new is not None:
                task = to_task(new)
                (self.stand.discard if task.deleting else self.stand.add)(task.uid)
                if not task.deleting:
                    self.asked |= {(task.uid, request.key) for request in task.triggers}

    def wrong(self, rows: Mapping[str, Row], waiting: set[tuple[str, str]]) -> list[str]:
        """What the history says wrongly or does not say, in words. `waiting`: requests that stand on their tasks."""
        found = []
        for id_, row in rows.items():
            if row.status not in _ENDS:
                found.append(f"{id_} has not ended: {row}")
            if (row.status == "SUCCESS") != (row.job_uid in self.succeeded):
                found.append(
                    f"{id_}: {row}, and its program {'succeeded' if row.job_uid in self.succeeded else 'did not'}"
                )
            if row.status != "SUCCESS" and not (row.reason and row.message):
                found.append(f"{id_} does not say why: {row}")
        found += [f"{id_}, of the Job {uid}, is not recorded" for uid, id_ in self.accepted.items() if id_ not in rows]
        told = {self.made[row.job_uid] for row in rows.values() if row.job_uid in self.made}
        told |= {row.request for row in rows.values() if row.request is not None}
        missing = {request for request in self.asked - told - waiting if request[0] in self.stand}
        found += [f"the run {key} that was asked of {uid} is not recorded" for uid, key in sorted(missing)]
        return found
