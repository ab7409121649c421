"""The CronJob that the cluster's own controller runs is the one that task and Project ask for now."""

from __future__ import annotations

from typing import Any

from cronwright_core.domain import naming
from cronwright_core.kube.resources import CRON_JOBS, PROJECTS, SCHEDULED_TASKS
from support.launch_model.world import World


def template(world: World) -> Any:
    (cronjob,) = world.server.all(CRON_JOBS)
    return cronjob["spec"]["jobTemplate"]


def test_what_is_taken_away_from_task_or_project_leaves_it() -> None:
    world = World()
    rights = {
        "serviceAccountName": "deployer",
        "imagePullSecrets": ["registry"],
        "securityContext": {"fsGroup": 7},
        "workspace": {"claimName": "c"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "podAnnotations": {"team": "data"},
    }
    try:
        world.create_task("task", scheduleType="Cron", schedule="0 12 * * *")
        world.start_operator()
        world.wait(2)
        plain = template(world)
        world.patch(PROJECTS, "p", {"spec": rights})
        world.patch(SCHEDULED_TASKS, "task", {"metadata": {"labels": {naming.KUEUE_QUEUE_LABEL: "q"}}})
        world.wait(2)
        assert template(world)["spec"]["template"]["spec"]["serviceAccountName"] == "deployer"
        assert template(world)["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
        assert template(world)["spec"]["template"]["metadata"]["annotations"] == {"team": "data"}
        assert template(world)["metadata"]["labels"][naming.KUEUE_QUEUE_LABEL] == "q"
        world.patch(PROJECTS, "p", {"spec": dict.fromkeys(rights)})
        world.patch(SCHEDULED_TASKS, "task", {"metadata": {"labels": {naming.KUEUE_QUEUE_LABEL: None}}})
        world.wait(2)
        assert template(world) == plain
        written = len(world.server.events[CRON_JOBS.plural])
        world.wait(20)
        assert len(world.server.events[CRON_JOBS.plural]) == written, "and is left alone then"
    finally:
        world.close()
