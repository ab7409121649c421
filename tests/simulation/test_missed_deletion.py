"""A task whose deletion nobody reported: kopf tells of none that falls into a gap of its watch."""

from __future__ import annotations

from cronwright_core.kube.resources import CRON_JOBS, SCHEDULED_TASKS
from support.launch_model.world import NAMESPACE, World


def test_its_cronjob_is_not_made_again() -> None:
    world = World()

    async def delete_unseen() -> None:
        world.server.delete(SCHEDULED_TASKS, NAMESPACE, "task", by="user")
        assert world.server.events[SCHEDULED_TASKS.plural].pop()[1].type == "DELETED"

    def made() -> int:
        return sum(1 for _, event in world.server.events[CRON_JOBS.plural] if event.type == "ADDED")

    try:
        world.create_task("task", scheduleType="Cron", schedule="* * * * *")
        world.start_operator()
        world.wait(5)
        assert made() == 1
        world.loop.play(delete_unseen())
        world.wait(100)
        assert made() == 1
        assert list(world.server.all(CRON_JOBS)) == []
        assert world.jobs() == []
    finally:
        world.close()
