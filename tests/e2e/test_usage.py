"""What a run used, and what the nodes use, on a real kubelet."""

from __future__ import annotations

import pytest

from support.cluster import FINAL, Cluster, Rest, Space, eventually

BURN = """exec python3 - <<END
import time
began = time.monotonic()
kept = bytearray(96 * 1024 * 1024)
for page in range(0, len(kept), 4096):
    kept[page] = 1
while time.monotonic() < began + 16:
    pass
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time() / (time.monotonic() - began) * 100, int(peak) / 1024)
END
"""
"""Uses a quarter of a CPU (its limit) and some 100 MB, and says at last what it used itself: percent, MB."""


@pytest.mark.takes(30)
def test_a_run_that_burns_cpu_and_memory_is_measured(space: Space, alice: Rest) -> None:
    space.apply_task(
        "burn",
        scheduleType="Once",
        overrides={"args": [BURN], "resources": {"limits": {"cpu": "250m", "memory": "256Mi"}}},
    )
    task_id = space.task_id("burn")
    # Figures while it runs, not only afterwards.
    running = eventually(
        lambda: next(
            (
                found
                for execution in alice.executions(task_id)
                if (found := alice.data("GET", f"/executions/{execution['execution_id']}"))["resource_usage"][
                    "max_memory_mb"
                ]
            ),
            None,
        ),
        seconds=60,
        what="figures of a running execution",
    )
    assert running["status"] not in FINAL
    (ended,) = alice.ended(task_id)
    assert ended["status"] == "SUCCESS", ended
    detail = alice.data("GET", f"/executions/{ended['execution_id']}")
    usage = detail["resource_usage"]
    cpu, memory = (float(figure) for figure in alice.log(ended["execution_id"])[-1].split())
    assert 0.8 * memory <= usage["max_memory_mb"] <= 1.2 * memory, (usage, memory)
    assert 0.8 * cpu <= usage["avg_cpu_percent"] <= 1.2 * cpu, (usage, cpu)
    (attempt,) = detail["attempts"]
    assert attempt["resource_usage"] == usage


def test_the_nodes_the_queue_and_the_parts(cluster: Cluster, alice: Rest) -> None:
    data = eventually(
        lambda: (found := alice.data("GET", "/metrics"))["cpu_percent"] is not None and found,
        seconds=60,
        what="the nodes' figures",
    )
    for figure in ("cpu_percent", "memory_percent", "disk_usage"):
        assert 0 < data[figure] <= 100, data
    assert data["scheduler_status"] == "RUNNING"
    assert (data["database_status"], data["redis_status"]) == ("HEALTHY", "DISABLED")
    assert data["active_tasks"] >= 0
    assert set(data["queue_status"]) == {"pending_tasks", "running_tasks", "completed_today"}
    assert data["node_metrics"]["source"] == "kubelet", data
    assert data["node_metrics"]["reason"] is None
