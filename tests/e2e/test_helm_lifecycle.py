"""Install, use, upgrade, roll back, restore, uninstall, install again: tasks and history survive, nothing is left over.

What docs/operations.md prints for each of these is run as it stands there, but for the names of release and namespace.
It runs beside the tests that take away operator and database of the first release.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, Space, eventually, kubectl
from support.doc_commands import blocks, run
from support.second_release import FULL_NAME, NAMESPACE, SecondRelease

NAMED_IN_DOCS = {
    # docs/operations.md, "Uninstall". What tasks own - CronJobs, Jobs, Pods - is told apart below.
    f"secret/{FULL_NAME}-jwt-keys",
    f"secret/{FULL_NAME}-postgresql",
    f"persistentvolumeclaim/data-{FULL_NAME}-postgresql-0",
    f"lease.coordination.k8s.io/{FULL_NAME}-operator",
    "project.cronwright.dev/demo",
    "scheduledtask.cronwright.dev/yearly",
}
OF_TASKS = ("cronjob.batch/yearly-", "job.batch/yearly-", "pod/yearly-")


def history(release: SecondRelease, token: str) -> dict[str, Any]:
    """The tasks, and the executions with their output."""
    tasks = release.ask(token, "/tasks")["items"]
    executions = [item for task in tasks for item in release.ask(token, f"/tasks/{task['id']}/executions")["items"]]
    return {
        "tasks": {task["id"]: task["name"] for task in tasks},
        "executions": {
            item["execution_id"]: (
                item["status"],
                *release.ask(token, f"/executions/{item['execution_id']}/logs/file")["data"]["content"],
            )
            for item in executions
        },
    }


def run_once(release: SecondRelease, token: str, number: int) -> dict[str, Any]:
    """Triggers the task and waits until so many executions are in the history, with their ends."""
    kubectl("annotate", "-n", NAMESPACE, "scheduledtask/yearly", f"trigger.cronwright.dev/{uuid.uuid4().hex[:8]}=now")

    def look() -> dict[str, Any] | None:
        found = history(release, token)
        ended = [True for status, *_ in found["executions"].values() if status == "SUCCESS"]
        return found if len(ended) == number else None

    return eventually(look, seconds=60, what=f"{number} recorded executions")


def cronjob_is_suspended() -> bool:
    return kubectl("get", "cronjobs", "-n", NAMESPACE, "-o", "jsonpath={.items[*].spec.suspend}") == "true"


def keys() -> set[str]:
    found = json.loads(kubectl("get", "-n", NAMESPACE, f"secret/{FULL_NAME}-jwt-keys", "-o", "json"))
    return set(found["data"])


def rotate_keys(release: SecondRelease, steps: list[str], old_token: str, tmp_path: Path) -> str:
    """The rest of the documented steps, once every Pod has the new key. Returns a token of the new key."""
    variables, waited, signed, removed = (
        next(line for line in steps if part in line) for part in ("ns=", "read again", "--kid", "remove")
    )

    def seen() -> bool:
        shown = kubectl("-n", NAMESPACE, "logs", f"deploy/{FULL_NAME}-api", "-c", "api", "--since=5m")
        return "JWT keys read again" in shown

    eventually(seen, seconds=150, what="the kubelet to bring the new key into the Pod")
    token = run([variables, waited, signed], tmp_path).splitlines()[-1]
    assert release.ask(token, "/tasks") == release.ask(old_token, "/tasks"), "both keys are good"
    run([variables, removed], tmp_path)
    assert keys() == {"key-002"}
    return token


@pytest.mark.takes(170)
def test_tasks_and_history_survive_upgrade_rollback_restore_and_uninstall(
    cluster: Cluster, second: SecondRelease, tmp_path: Path
) -> None:
    rotation = [second.documented(block) for block in blocks("docs/operations.md", "### Key rotation", "## Watching")]
    steps = "\n".join(rotation).splitlines()
    second.install()
    assert "key-001" in run(steps[:4], tmp_path)
    assert keys() == {"key-001", "key-002"}
    second.test()
    space = Space(cluster, NAMESPACE)
    space.apply_project()
    space.apply_task("yearly", "echo ran at $(date +%s)", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("yearly")
    token = second.token()
    first = run_once(second, token, 1)
    assert first["tasks"] == {task_id: f"yearly of {NAMESPACE}"}
    alice = cluster.rest("alice")

    def of_the_first() -> dict[str, Any] | None:
        answer = alice.call("GET", "/tasks", params={"search": NAMESPACE})
        return answer.json() if answer.is_success else None

    seen = eventually(of_the_first, seconds=120, what="an answer of the first installation")
    assert seen["items"] == [], "the first installation leaves the namespace alone"
    token = rotate_keys(second, steps, token, tmp_path)

    second.upgrade(logLevel="DEBUG")
    assert second.log_level() == "DEBUG"
    assert history(second, token) == first, "passwords and keys were kept, or nobody could ask"
    both = run_once(second, token, 2)
    assert first["executions"].items() < both["executions"].items()

    second.rollback(1)
    assert second.log_level() == "INFO"
    assert history(second, token) == both
    assert keys() == {"key-002"}

    dump, restore = (
        second.documented(block) for block in blocks("docs/operations.md", "## Backup and", "## Rebuilding")[:2]
    )
    run([dump], tmp_path)
    assert "name: yearly" in (tmp_path / "cronwright-resources.yaml").read_text()
    behind = run_once(second, token, 3)
    run([restore], tmp_path)
    assert history(second, token) == both
    now = run_once(second, token, 3)
    assert both["executions"].items() < now["executions"].items(), "it goes on"
    assert len(behind["executions"].keys() & now["executions"].keys()) == 2, "recorded behind the dump: not run again"

    second.uninstall()
    left = eventually(
        lambda: (found := second.left()) and not any(FULL_NAME in name for name in found - NAMED_IN_DOCS) and found,
        seconds=60,
        what="the Pods of the release to be gone",
    )
    assert {name for name in left if not name.startswith(OF_TASKS)} == NAMED_IN_DOCS
    assert cronjob_is_suspended(), "uninstall.suspendCronJobs was chosen"

    second.install()
    assert space.task_id("yearly") == task_id
    assert history(second, token) == now, "the volume, its password and the keys were kept"
    eventually(lambda: not cronjob_is_suspended(), seconds=30, what="the CronJob to go on")
