"""What end-to-end tests do with a cluster: kubectl, the REST API, and waiting with a deadline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import httpx

from support.objects import RequestFailed, find_kind, read

OWN_CONTEXTS = {"cronwright-dev", "kind-cronwright"}
SYSTEM = "cronwright-system"
Found = TypeVar("Found")
FINAL = {"SUCCESS", "FAILED", "TIMEOUT", "CANCELLED"}


class KubectlFailed(RequestFailed):
    """kubectl ended with an error; the text is what it said."""


def kubectl(*arguments: str, document: Mapping[str, Any] | None = None) -> str:
    """Runs kubectl and returns what it printed."""
    program = os.environ.get("CRONWRIGHT_KUBECTL") or shutil.which("kubectl")
    assert program, "no kubectl: put one on PATH or name it in CRONWRIGHT_KUBECTL"
    done = subprocess.run(
        [program, *arguments],
        input=json.dumps(document) if document is not None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def let_end(namespace: str, pod: str, path: str) -> None:
    """Makes the file that the Pod's container waits for before it ends.

    The container may end before the command in it was seen to: the kernel then ends the command as well (137). That
    the file was made is told by what the container does next.
    """
    try:
        kubectl("exec", "-n", namespace, pod, "--", "touch", path)
    except KubectlFailed as failed:
        if "exit code 137" not in str(failed):
            raise


def eventually(look: Callable[[], Found], *, seconds: float, what: str) -> Found:
    """Polls until `look` gives something true and returns it; fails with `what` and the last thing seen."""
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            found = look()
            if found:
                return found
            last = found
        except (RequestFailed, httpx.TransportError) as error:
            last = error
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}; last seen: {last!r}"
        time.sleep(0.5)


@dataclass(frozen=True)
class Rest:
    """The REST API as one user."""

    url: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        # Reading the certificates of all authorities takes longer than the request, and plain HTTP needs none.
        verify = self.url.startswith("https:")
        url = f"{self.url}/api/v1/scheduler{path}"
        return httpx.request(method, url, headers=headers, timeout=30, verify=verify, **options)

    def data(self, method: str, path: str, **options: Any) -> Any:
        """The `data` of a successful answer."""
        answer = self.call(method, path, **options)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        body = answer.json()
        assert body["success"] is True
        return body["data"]

    def executions(self, task_id: int, **query: Any) -> list[dict[str, Any]]:
        """All executions of a task, oldest first."""
        answer = self.call("GET", f"/tasks/{task_id}/executions", params={"size": 100, **query})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return list(reversed(items))

    def trigger(self, task_id: int) -> str:
        """Runs a task once; returns the execution's id."""
        answer = self.call("POST", f"/tasks/{task_id}/trigger")
        assert answer.status_code == 200, answer.text
        return answer.headers["location"].rsplit("/", 1)[1]

    def ended(self, task_id: int, *, count: int = 1, seconds: float = 90) -> list[dict[str, Any]]:
        """Waits for `count` ended executions and returns all of them."""
        return eventually(
            lambda: (
                ended if len(ended := [e for e in self.executions(task_id) if e["status"] in FINAL]) >= count else None
            ),
            seconds=seconds,
            what=f"{count} ended executions of task {task_id}",
        )

    def log(self, execution_id: str, log_type: str = "output", **query: Any) -> list[str]:
        """The lines of an execution's log."""
        data = self.data("GET", f"/executions/{execution_id}/logs/file", params={"log_type": log_type, **query})
        content: list[str] = data["content"]
        return content


class PatientRest(Rest):
    """For reads while parts of the cluster are being ended: a connection that is refused is tried again for a while.

    A kubelet that starts again takes its Pods for not ready at first, and a Service without ready Pods refuses.
    """

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        if method != "GET":
            return super().call(method, path, **options)
        ask = super().call
        return eventually(lambda: [ask(method, path, **options)], seconds=60, what=f"an answer to {path}")[0]


@dataclass(frozen=True)
class Cluster:
    """The installation under test."""

    NEEDED: ClassVar[tuple[str, ...]] = (
        "CRONWRIGHT_URL",
        "CRONWRIGHT_ADMIN_TOKEN",
        "CRONWRIGHT_USER_TOKEN",
        "CRONWRIGHT_OTHER_TOKEN",
        "CRONWRIGHT_DEMO_IMAGE",
        "KUBECONFIG",
    )
    url: str
    image: str
    tokens: dict[str, str]

    @classmethod
    def from_environment(cls) -> Cluster:
        env = os.environ
        tokens = {
            "admin": env["CRONWRIGHT_ADMIN_TOKEN"],
            "alice": env["CRONWRIGHT_USER_TOKEN"],
            "bob": env["CRONWRIGHT_OTHER_TOKEN"],
        }
        return cls(env["CRONWRIGHT_URL"], env["CRONWRIGHT_DEMO_IMAGE"], tokens)

    def rest(self, user: str) -> Rest:
        return Rest(self.url, self.tokens[user])

    def new_user(self, name: str, *, admin: bool = False) -> Rest:
        """The REST API as a user of the test's own, by a token that the installation signs."""
        options = ["--admin"] if admin else []
        command = ["cronwright", "token", "--user", name, "--ttl", "1h", *options]
        return Rest(self.url, kubectl("-n", SYSTEM, "exec", "deploy/cronwright-api", "--", *command).strip())

    def replicas(self, kind: str, name: str) -> int:
        """How many Pods a workload of the chart is to have."""
        return int(kubectl("-n", SYSTEM, "get", f"{kind}/{name}", "-o", "jsonpath={.spec.replicas}"))

    def scale(self, kind: str, name: str, replicas: int) -> None:
        """Scales a workload of the chart and waits until as many Pods are ready, or all are gone."""
        kubectl("-n", SYSTEM, "scale", f"{kind}/{name}", f"--replicas={replicas}")
        kubectl("-n", SYSTEM, "rollout", "status", f"{kind}/{name}", "--timeout=100s")
        if replicas == 0:
            component = name.removeprefix("cronwright-")
            selector = f"app.kubernetes.io/component={component}"
            eventually(
                lambda: not kubectl("-n", SYSTEM, "get", "pods", "-l", selector, "-o", "name").strip(),
                seconds=90,
                what=f"the Pods of {name} to be gone",
            )


@dataclass(frozen=True)
class Space:
    """A namespace with a Project `demo` that belongs to alice."""

    cluster: Cluster
    namespace: str

    def clear(self) -> None:
        """Removes the namespace and all that is in it."""
        # The resources first: the operator takes its finalizers off their Jobs while the namespace still lets it.
        kubectl("delete", "scheduledtasks", "--all", "-n", self.namespace, "--wait=false")
        what = f"the Jobs of {self.namespace} to be recorded and gone after the test"
        eventually(lambda: not self.names("jobs"), seconds=90, what=what)
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def apply(self, document: Mapping[str, Any]) -> None:
        kubectl("apply", "-f", "-", document=document)

    def apply_project(self, name: str = "demo", **spec: Any) -> None:
        body = {
            "owner": "alice",
            "displayName": f"{name} of {self.namespace}",
            "image": self.cluster.image,
            "command": ["sh", "-c"],
            "args": ["echo hello"],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
            **spec,
        }
        self.apply(self._document("Project", name, body))

    def apply_task(self, name: str, script: str | None = None, **spec: Any) -> None:
        """Applies a ScheduledTask that runs `script` by sh."""
        # A name is unique among all tasks of one owner, and tests run side by side.
        body: dict[str, Any] = {"projectName": "demo", "displayName": f"{name} of {self.namespace}", **spec}
        if script is not None:
            body.setdefault("overrides", {})["args"] = [script]
        self.apply(self._document("ScheduledTask", name, body))

    def project_id(self, name: str = "demo") -> int:
        return int(self._wait_status("project.cronwright.dev", name, "projectId"))

    def task_id(self, name: str) -> int:
        """Waits until the operator has registered the task."""
        return int(self._wait_status("scheduledtask", name, "taskId"))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return read(find_kind(kind), self.namespace, name)

    def names(self, kind: str, selector: str = "") -> list[str]:
        """As `kubectl get -o name` prints them: `job.batch/nightly-1`."""
        printed = find_kind(kind).printed
        return [f"{printed}/{item['metadata']['name']}" for item in self.items(kind, selector)]

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind."""
        items: list[dict[str, Any]] = read(find_kind(kind), self.namespace, selector=selector)["items"]
        return items

    def jobs(self, selector: str = "") -> list[dict[str, Any]]:
        """The Jobs."""
        return self.items("jobs", selector)

    def ready(self, name: str) -> dict[str, Any]:
        """Waits for a Ready condition of the present generation."""

        def look() -> dict[str, Any] | None:
            task = self.get("scheduledtask", name)
            generation = task["metadata"]["generation"]
            for condition in task.get("status", {}).get("conditions", []):
                if condition["type"] == "Ready" and condition["observedGeneration"] == generation:
                    found: dict[str, Any] = condition
                    return found
            return None

        return eventually(look, seconds=30, what=f"a Ready condition of {name}")

    def _wait_status(self, kind: str, name: str, key: str) -> Any:
        return eventually(
            lambda: self.get(kind, name).get("status", {}).get(key), seconds=60, what=f"status.{key} of {kind} {name}"
        )

    def _document(self, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "cronwright.dev/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": dict(spec),
        }
