"""Calls of kubectl: its credentials, its context, its errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cronwright_core.domain import naming
from cronwright_core.plugin.errors import PluginError

TASKS = f"{naming.TASK_PLURAL}.{naming.GROUP}"
"""The full name: `projects` and `tasks` alone are other products' kinds as well."""
FIELD_MANAGER = "kubectl-cronwright"
_SECONDS = 60
Json = dict[str, Any]


def find_kubectl() -> str:
    """The kubectl to call: CRONWRIGHT_KUBECTL, or the one on PATH.

    Raises:
        PluginError: there is none.
    """
    program = os.environ.get("CRONWRIGHT_KUBECTL") or shutil.which("kubectl")
    if not program:
        raise PluginError("no kubectl found: put one on PATH, or name it in CRONWRIGHT_KUBECTL")
    return program


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the options that the user gave (`-n`, `--context`, ...)."""

    program: str
    options: tuple[str, ...] = ()

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Runs it, with `text` as its standard input, and returns what it printed.

        Raises:
            PluginError: it failed; the text is its own.
        """
        try:
            done = subprocess.run(  # noqa: S603 - the user's own kubectl, no shell
                [self.program, *self.options, *arguments],
                input=text or "",
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PluginError(f"kubectl {arguments[0]} did not answer within {_SECONDS} s") from error
        except OSError as error:
            raise PluginError(f"{self.program}: {error.strerror}") from error
        if done.returncode != 0:
            raise PluginError(_explained(done.stderr.strip() or f"kubectl ended with {done.returncode}"))
        return done.stdout

    def show(self, *arguments: str) -> int:
        """Runs it with its output going straight to ours; returns its exit code."""
        try:
            return subprocess.run([self.program, *self.options, *arguments], check=False).returncode  # noqa: S603
        except OSError as error:
            raise PluginError(f"{self.program}: {error.strerror}") from error

    def task(self, name: str) -> Json:
        """The ScheduledTask of this name."""
        found: Json = json.loads(self.run("get", TASKS, name, "-o", "json"))
        return found

    def tasks(self) -> list[Json]:
        """All ScheduledTasks of the namespace."""
        return self._items(TASKS)

    def jobs(self, task_uid: str | None = None) -> list[Json]:
        """The Jobs of one task, or of all tasks of the namespace."""
        selector = naming.MANAGED_SELECTOR if task_uid is None else f"{naming.TASK_UID_LABEL}={task_uid}"
        return self._items("jobs.batch", "-l", selector)

    def pods(self, selector: str) -> list[Json]:
        """The Pods that a selector of labels finds."""
        return self._items("pods", "-l", selector)

    def annotate(self, task: Json, annotations: Mapping[str, str]) -> None:
        """Adds annotations, unless the task has been deleted and made anew meanwhile."""
        self._patch(task, {"annotations": dict(annotations)}, {})

    def set_suspend(self, task: Json, suspend: bool) -> None:
        """Writes spec.suspend, under a field manager of our own."""
        self._patch(task, {}, {"spec": {"suspend": suspend}})

    def _patch(self, task: Json, metadata: Json, rest: Json) -> None:
        body = {"metadata": {"uid": task["metadata"]["uid"], **metadata}, **rest}
        # By standard input: an argument, which may hold a run's variables, every process of the machine can read.
        options = ("--type=merge", f"--field-manager={FIELD_MANAGER}", "--patch-file=/dev/stdin")
        self.run("patch", TASKS, task["metadata"]["name"], *options, text=json.dumps(body))

    def _items(self, *what: str) -> list[Json]:
        found: list[Json] = json.loads(self.run("get", *what, "-o", "json"))["items"]
        return found


def connection_options(
    *, namespace: str | None, context: str | None, kubeconfig: str | None, as_user: str | None
) -> Sequence[str]:
    """kubectl's own options, as its command line takes them."""
    given = {"--namespace": namespace, "--context": context, "--kubeconfig": kubeconfig, "--as": as_user}
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def _explained(said: str) -> str:
    line = said.splitlines()[0] if said.startswith("Error from server") else said
    if "doesn't have a resource type" in said:
        return f"{line}; Cronwright is not installed in this cluster"
    return line
