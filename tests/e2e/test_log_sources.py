"""Output of real Pods, by each way that there is: the API server's streams, the kubelet's log files, both in one.

The operator's own code reads it here, in the test's process: the installed operator has one setting for all.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from cronwright_core.domain.times import from_rfc3339
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.kubelet import KubeletClient
from cronwright_core.kube.kubelet_logs import KubeletLogs
from cronwright_operator.recording.pod_log import ROTATED, PodLog, gap_line
from cronwright_operator.recording.redaction import Redactor
from cronwright_operator.recording.sources import LogSources, Setting
from support.cluster import eventually, kubectl
from support.pod_logs import Store

TASK = "sh"
ODD = (
    "echo out 1; echo err 1 >&2; printf 'crlf\\r\\n\\000\\377\\n';"
    " head -c 1000000 /dev/zero | tr '\\0' x; echo correct-horse; echo err 2 >&2; printf 'no newline'"
)
ODD_LINES = [b"out 1", b"crlf", b"\x00\xff", b"x" * 1_000_000 + b"[redacted]", b"no newline"]


class PodUnderTest:
    """One Pod that runs a script, and a way to read its output as the operator does."""

    def __init__(self, namespace: str, script: str) -> None:
        self.namespace, self.name = namespace, f"p-{uuid.uuid4().hex[:8]}"
        kubectl("apply", "-f", "-", document=self._document(script))
        self.store = Store()

    def field(self, path: str) -> str:
        return kubectl("get", "pod", self.name, "-n", self.namespace, "-o", f"jsonpath={{{path}}}").strip()

    def wait(self, phase: str) -> None:
        eventually(lambda: self.field(".status.phase") == phase, seconds=90, what=f"the Pod to be {phase}")

    def read(self, setting: Setting, *between: Callable[[], None]) -> None:
        """Polls once before each of the steps between, and to the end after them."""

        async def scenario() -> None:
            client = await KubeClient.connect(user_agent="cronwright-tests")
            kubelets = await KubeletClient.connect(user_agent="cronwright-tests", ca_file=None, insecure_tls=True)
            try:
                sources = LogSources(client, KubeletLogs(kubelets), setting=setting)
                log = PodLog(
                    sources,
                    self.store,  # type: ignore[arg-type]
                    namespace=self.namespace,
                    pod=self.name,
                    pod_uid=self.field(".metadata.uid"),
                    container=TASK,
                    execution_id="exec-1",
                    execution_time=datetime.now().astimezone(),
                    attempt=1,
                    now=lambda: datetime.now().astimezone(),
                    redactor=_redactor,
                    host=self.field(".status.hostIP"),
                    start_time=from_rfc3339(self.field(".status.containerStatuses[0].state.*.startedAt")),
                )
                for step in between:
                    await log.poll(final=False)
                    await asyncio.to_thread(step)
                await log.poll(final=True)
            finally:
                await kubelets.close()
                await client.close()

        asyncio.run(scenario())

    def lines(self, stream: str) -> list[bytes]:
        """Without carriage returns at their ends, which some container runtimes cut off themselves."""
        return [line.removesuffix(b"\r") for line in self.store.data.get(stream, b"").split(b"\n")[:-1]]

    def _document(self, script: str) -> dict[str, object]:
        container = {
            "name": TASK,
            "image": os.environ["CRONWRIGHT_DEMO_IMAGE"],
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]},
        }


async def _redactor() -> Redactor:
    return Redactor(["correct-horse"])


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"logs-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def odd(namespace: str) -> PodUnderTest:
    pod = PodUnderTest(namespace, ODD)
    pod.wait("Succeeded")
    return pod


@pytest.mark.parametrize("setting", ["streams", "files"])
def test_apart_whatever_is_printed(odd: PodUnderTest, setting: Setting) -> None:
    odd.store = Store()
    odd.read(setting)
    assert odd.lines("stdout") == ODD_LINES
    assert odd.lines("stderr") == [b"err 1", b"err 2"]
    assert odd.store.finished == {"stdout": None, "stderr": None}


@pytest.mark.parametrize("setting", ["streams", "files"])
def test_first_lines_within_a_long_one_of_the_other_stream(namespace: str, setting: Setting) -> None:
    """The API server gives such lines without a stamp; they are lines all the same, each once."""
    script = (
        "head -c 100000 /dev/zero | tr '\\0' x; echo err 1 >&2; echo err 2 >&2; sleep 4; echo err 3 >&2; sleep 1;"
        " echo; echo err 4 >&2"
    )
    pod = PodUnderTest(namespace, script)
    pod.wait("Running")
    pod.read(setting, lambda: pod.wait("Succeeded"))
    assert pod.lines("stderr") == [b"err 1", b"err 2", b"err 3", b"err 4"]
    assert pod.lines("stdout") == [b"x" * 100_000]
    assert pod.store.finished == {"stdout": None, "stderr": None}


def test_both_in_one(odd: PodUnderTest) -> None:
    odd.store = Store()
    odd.read("merged")
    assert set(odd.store.data) == {"all"}
    together = odd.store.data["all"]
    # The kubelet mixes a line of the one stream into a long one of the other; nothing of either is lost.
    for line in (b"out 1\n", b"err 1\n", b"err 2\n", b"crlf", b"\x00\xff\n", b"no newline"):
        assert line in together
    assert together.count(b"x") == 1_000_000
    assert b"correct-horse" not in together


@pytest.mark.takes(30)
def test_each_line_once_over_a_real_rotation(namespace: str) -> None:
    """12 MB at once: the kubelet rotates (10 MiB, looked at every 10 s), and the program goes on in a new file."""
    script = (
        "seq -f 'before %08.0f xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' 1 240000; echo err >&2; sleep 16;"
        " seq -f 'behind %08.0f' 1 1000; sleep 3"
    )
    pod = PodUnderTest(namespace, script)
    pod.wait("Running")

    def rotated() -> None:
        end = time.monotonic() + 60
        while pod.field(".status.phase") == "Running" and time.monotonic() < end:
            time.sleep(1)

    first = Store()
    pod.store = first
    pod.read("files", rotated)
    wanted = [b"before %08d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" % number for number in range(1, 240_001)]
    wanted += [b"behind %08d" % number for number in range(1, 1001)]
    assert pod.lines("stdout") == wanted
    assert pod.lines("stderr") == [b"err"]
    assert first.finished == {"stdout": None, "stderr": None}
    # One that comes late finds all of it too: what was rotated away is still there.
    pod.store = Store()
    pod.read("files")
    assert pod.store.data == first.data
    # The API server shows the new file only. What was stored of the old one is followed by a mark.
    pod.store = Store()
    pod.store.begin("stdout", b"before\n", "2020-01-01T00:00:00.000000000Z")
    pod.read("streams")
    before, mark, *shown = pod.lines("stdout")
    assert [before, mark] == [b"before", gap_line(ROTATED).encode()]
    assert 1000 <= len(shown) < len(wanted)
    # Where the kubelet looked while the first lines were being written, the new file begins with one of them, or
    # within it.
    cut, *whole = wanted[-len(shown) :]
    assert cut.endswith(shown[0])
    assert shown[1:] == whole
    assert pod.store.finished["stdout"] == ROTATED
