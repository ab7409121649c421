"""The operator's own way of a log - KubeClient, PodLog, LogStore - alone in a process, which says what it took.

`python -m bench.recording.logs_reader DATABASE_URL API_SERVER EXECUTION_ID`: reads the log once to its end, as after
the end of a Pod, and prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from cronwright_core.domain import naming
from cronwright_core.kube.client import KubeClient
from cronwright_core.store.logs import LogStore
from cronwright_core.store.session import Database
from cronwright_operator import interpreter
from cronwright_operator.recording.pod_log import PodLog
from cronwright_operator.recording.redaction import Redactor
from cronwright_operator.recording.sources import LogSources

LIMIT = 100 * 1024 * 1024
SECRETS = ["correct-horse-battery-staple", "3f9c1d2e-77aa-4b1c", "nightly report of the north"]
"""Values to be taken out, as a task with three variables has them."""


def rss_mb() -> float:
    """The memory of this process in MB of 1024 x 1024 bytes."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) / 1024


class Peak(threading.Thread):
    """The highest memory seen, looked at every 10 ms: the kernel's own figure could not be set back."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mb = rss_mb()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.01):
            self.mb = max(self.mb, rss_mb())

    def stop(self) -> None:
        self._done.set()
        self.join()


async def main(url: str, server: str, execution_id: str) -> None:
    """Reads and stores."""
    interpreter.share()
    database = Database(url, application_name="bench")
    time_ = naming.execution_time(execution_id)
    assert time_ is not None
    client = await _connect(server)

    async def redactor() -> Redactor:
        return Redactor(SECRETS)

    log = PodLog(
        LogSources(client),
        LogStore(database, stream_limit=LIMIT),
        namespace="bench",
        pod="pod",
        container="task",
        execution_id=execution_id,
        execution_time=time_,
        attempt=1,
        now=lambda: datetime.now(UTC),
        redactor=redactor,
    )
    await asyncio.to_thread(database.ping)
    before, peak = rss_mb(), Peak()
    peak.start()
    start, cpu = time.monotonic(), time.process_time()
    await log.poll(final=True)
    seconds, used = time.monotonic() - start, time.process_time() - cpu
    peak.stop()
    await client.close()
    print(json.dumps({"seconds": seconds, "cpu": used, "before_mb": before, "grown_mb": peak.mb - before}))


async def _connect(server: str) -> KubeClient:
    config = Path(os.environ["BENCH_FOLDER"]) / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    )
    os.environ["KUBECONFIG"] = str(config)
    return await KubeClient.connect(user_agent="cronwright-bench")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
