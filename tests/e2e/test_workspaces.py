"""Workspaces on a real volume: a directory for each execution, and a cleaning that knows which of them are over."""

from __future__ import annotations

import pytest

from support.cluster import Rest, Space, eventually, kubectl, let_end

WRITE = "mkdir deep; head -c 3000000 /dev/zero > deep/zeros; ln -s /etc deep/link; pwd; du -sB1 ."
HOLD = "echo kept > kept; while [ ! -e go ]; do sleep 1; done; cat kept"


def claim(space: Space) -> None:
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "work", "namespace": space.namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )


def volume_holds(space: Space, name: str) -> set[str]:
    """What is at the top of the volume, seen by a Pod of its own."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space.namespace},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "look",
                    "image": space.cluster.image,
                    "command": ["ls", "/volume"],
                    "securityContext": context,
                    "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
                }
            ],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": "work"}}],
        },
    }
    space.apply(pod)
    eventually(
        lambda: space.get("pod", name)["status"].get("phase") == "Succeeded", seconds=60, what="a look at the volume"
    )
    return set(kubectl("logs", "-n", space.namespace, name).split())


def job_of(space: Space, task: str) -> str:
    (name,) = (job.rpartition("/")[2] for job in space.names("jobs", f"cronwright.dev/task={task}"))
    return name


@pytest.mark.takes(40)
def test_ended_directories_are_removed_and_a_running_one_is_kept(space: Space, alice: Rest, admin: Rest) -> None:
    claim(space)
    space.apply_project("work", workspace={"claimName": "work", "mountPath": "/data"})
    for name, script in (("writes", WRITE), ("holds", HOLD)):
        space.apply_task(name, f"cd /data; {script}", projectName="work", scheduleType="Once")
    running_task = space.task_id("holds")
    (ended,) = alice.ended(space.task_id("writes"))
    assert ended["status"] == "SUCCESS", ended
    detail = alice.data("GET", f"/executions/{ended['execution_id']}")
    assert detail["workspace_path"] == f"/tmp/workspaces/{ended['execution_id']}"
    used = int(alice.log(ended["execution_id"])[-1].split()[0])
    assert used > 3_000_000
    eventually(
        lambda: any(execution["status"] == "RUNNING" for execution in alice.executions(running_task)),
        seconds=60,
        what="the second execution to run",
    )
    written, held = job_of(space, "writes"), job_of(space, "holds")
    assert volume_holds(space, "before") == {written, held}
    assert alice.call("POST", "/cleanup-workspaces?max_age_hours=0").status_code == 403

    summary = admin.data("POST", "/cleanup-workspaces?max_age_hours=0")["cleanup_summary"]
    assert (summary["directories_removed"], summary["pending_projects"], summary["problems"]) == (1, 0, []), summary
    assert abs(summary["space_freed_mb"] - used / 2**20) < 0.1, (summary, used)
    assert summary["oldest_removed"] == ended["end_time"]
    assert volume_holds(space, "after") == {held}

    pod = next(name for name in space.names("pods", f"batch.kubernetes.io/job-name={held}"))
    let_end(space.namespace, pod, "/data/go")
    (kept,) = alice.ended(running_task)
    assert kept["status"] == "SUCCESS", kept
    assert alice.log(kept["execution_id"])[-1] == "kept"

    # The same by kubectl, now that it has ended.
    kubectl("annotate", "project.cronwright.dev", "work", "-n", space.namespace, "cleanup.cronwright.dev/again=0")
    eventually(
        lambda: (
            "cleanup.cronwright.dev/again"
            not in space.get("project.cronwright.dev", "work")["metadata"].get("annotations", {})
        ),
        seconds=90,
        what="the cleaning to be carried out",
    )
    assert volume_holds(space, "at-last") == set()
    assert not space.names("jobs", "app.kubernetes.io/name=cronwright-workspace-cleaner")
