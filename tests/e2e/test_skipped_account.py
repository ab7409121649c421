"""Ticks that an operator had to leave in a task's status, as PostgreSQL was away, are in the history afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from support.cluster import Rest, Space, eventually, kubectl

MESSAGE = "1 executions run and 0 wait (maxInstances 1, concurrencyPolicy Forbid)"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def at(minutes: int) -> str:
    return f"{NOON + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


ACCOUNT = {
    "groups": [{"reason": "AlreadyRunning", "message": MESSAGE, "ticks": [at(60), at(61)]}],
    "older": {"count": 58, "first": at(0), "last": at(59)},
}


def test_an_account_of_skipped_ticks_becomes_rows_and_goes(space: Space, alice: Rest) -> None:
    space.apply_task("skipping", "true", scheduleType="Cron", schedule="0 0 1 1 *")
    task_id = space.task_id("skipping")

    def account() -> str:
        path = "jsonpath={.status.unrecordedSkips}"
        return kubectl("get", "-n", space.namespace, "scheduledtask", "skipping", "-o", path)

    # What an operator leaves that ends while PostgreSQL is away. The one that is there finds it, like a successor.
    patch = json.dumps({"status": {"unrecordedSkips": ACCOUNT}})
    kubectl(
        "patch", "-n", space.namespace, "scheduledtask", "skipping", "--subresource=status", "--type=merge", "-p", patch
    )
    rows = eventually(lambda: len(found := alice.executions(task_id)) == 3 and found, seconds=60, what="three rows")
    eventually(lambda: account() == "", seconds=60, what="the account to be gone")
    assert {row["status"] for row in rows} == {"CANCELLED"}
    messages = sorted(str(row["error_message"]) for row in rows)
    assert messages[:2] == [f"AlreadyRunning: {MESSAGE}"] * 2
    assert messages[2].startswith(f"NotRecorded: 58 runs from {at(0)} to {at(59)}")
    assert len(alice.executions(task_id)) == 3
