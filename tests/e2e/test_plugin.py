"""`kubectl cronwright`, found by kubectl itself: from a trigger to the history, with the REST API and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster import Rest, Space, eventually

SCRIPT = 'echo "day $DAY"; echo to-stderr >&2; sleep 2; echo done'


class Shell:
    """A user's shell, in which kubectl finds the plugin on PATH."""

    def __init__(self, namespace: str, alice: Rest, tmp_path: Path) -> None:
        scripts = Path(sys.executable).parent
        assert (scripts / "kubectl-cronwright").exists(), "the distribution is installed without its scripts"
        program = os.environ.get("CRONWRIGHT_KUBECTL")
        if program:
            (tmp_path / "kubectl").symlink_to(program)
        self._namespace = namespace
        self._env = {
            **{key: value for key, value in os.environ.items() if key not in ("CRONWRIGHT_URL", "CRONWRIGHT_TOKEN")},
            "PATH": f"{tmp_path}:{scripts}:{os.environ['PATH']}",
        }
        self._rest = {"CRONWRIGHT_URL": alice.url, "CRONWRIGHT_TOKEN": alice.token}

    def run(self, *arguments: str, rest: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", "cronwright", *arguments, "-n", self._namespace],
            env=self._env | (self._rest if rest else {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def said(self, *arguments: str, rest: bool = True) -> list[str]:
        """The lines of a call that succeeds."""
        done = self.run(*arguments, rest=rest)
        assert done.returncode == 0, f"{arguments}: {done.returncode} {done.stderr}"
        return done.stdout.splitlines()


@pytest.fixture
def shell(space: Space, alice: Rest, tmp_path: Path) -> Shell:
    return Shell(space.namespace, alice, tmp_path)


def test_trigger_logs_history_pause_and_resume(space: Space, shell: Shell) -> None:
    # Once a year: a tick within the test would be a second line of its history.
    space.apply_task("nightly", SCRIPT, scheduleType="Cron", schedule="30 2 1 1 *", timeZone="Asia/Shanghai")
    space.task_id("nightly")
    (execution,) = shell.said("trigger", "nightly", "--env", "DAY=one", "--wait")
    # From the record, by the task's name and by the execution's id.
    assert shell.said("logs", "-f", "nightly") == shell.said("logs", execution) == ["day one", "done"]
    assert shell.said("logs", "--error", execution) == ["to-stderr"]
    assert shell.said("logs", "--tail", "1", execution) == ["done"]
    # From the Pods, which is said.
    bare = shell.run("logs", "nightly", rest=False)
    assert {"day one", "to-stderr", "done"} == set(bare.stdout.splitlines())
    assert "what the Pods still have" in bare.stderr

    header, row = shell.said("history", "nightly")
    assert header.split() == ["EXECUTION", "KIND", "STATUS", "TIME", "STARTED", "DURATION", "EXIT", "REASON"]
    assert (row.split()[:3], row.split()[6]) == ([execution, "Adhoc", "SUCCESS"], "0")
    (seen,) = json.loads("\n".join(shell.said("history", "nightly", "-o", "json", rest=False)))
    assert (seen["execution"], seen["status"]) == (execution, "SUCCESS")

    assert shell.said("pause", "nightly") == ["nightly paused"]
    assert "is paused" in shell.run("next", "nightly").stderr
    assert shell.said("resume", "nightly") == ["nightly resumed"]
    assert space.get("scheduledtask", "nightly")["spec"]["suspend"] is False

    def due() -> list[str] | None:
        said = shell.run("next", "nightly", "--count", "2", "--no-headers").stdout.splitlines()
        return said if len(said) == 2 else None

    first, _ = eventually(due, seconds=30, what="the next runs")
    assert "-01-01T02:30:00+08:00" in first


@pytest.mark.takes(60)
def test_a_run_that_is_cancelled_and_one_that_fails(space: Space, shell: Shell) -> None:
    script = 'echo begun; [ "$DAY" = bad ] && exit 7; sleep 300 & wait'
    space.apply_task("patient", script, scheduleType="Cron", schedule="0 0 1 1 *")
    space.task_id("patient")
    failed = shell.run("trigger", "patient", "--env=DAY=bad", "--wait")
    assert failed.returncode == 3, failed.stderr
    assert "FAILED, exit code 7" in failed.stderr
    (execution,) = shell.said("trigger", "patient")
    # Also before it has begun: the request itself can be cancelled.
    assert "its end is asked for" in shell.said("cancel", execution)[0]
    followed = shell.run("logs", "-f", execution)
    assert "CANCELLED" in followed.stderr
    assert "waits or runs" in (again := shell.run("cancel", execution).stderr) or "has ended" in again
    assert "NotFound" in shell.run("trigger", "nobody").stderr
