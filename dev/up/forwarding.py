"""`kubectl port-forward` in the background, for a cluster whose NodePorts do not answer on 127.0.0.1.

Each has a file with its process id and that process's start time: a number that was given to another process since is
never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from up import tools
from up.commands import failure, last_of
from up.kubectl import Kubectl
from up.target import LOCAL

FOLDER = LOCAL / "forwards"


def ensure(kubectl: Kubectl, namespace: str, service: str, port: int) -> int:
    """The local port that leads to a Service; a forward that is there and answers is kept."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = FOLDER / f"{service.replace('/', '-')}.json"
    found = _read(record)
    if found and found["context"] == kubectl.context and _answers(int(found["port"])):
        return int(found["port"])
    if found:
        _end(record)
    local = _free_port()
    log = record.with_suffix(".log")
    command = [
        *(tools.ensure("kubectl"), "--context", kubectl.context, "-n", namespace),
        *("port-forward", "--address", "127.0.0.1", service, f"{local}:{port}"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "KUBECONFIG": kubectl.kubeconfig},
            start_new_session=True,
        )
    started = _start_time(process.pid)
    record.write_text(json.dumps({"pid": process.pid, "started": started, "port": local, "context": kubectl.context}))
    end = time.monotonic() + 20
    while not _answers(local):
        if process.poll() is not None or time.monotonic() > end:
            said = last_of(log.read_text(errors="replace"))
            _end(record)
            raise failure(f"port-forward to {service} does not answer", f"See {log}", said)
        time.sleep(0.2)
    return local


def end_all() -> int:
    """End the forwards that we started; return how many there were."""
    records = list(FOLDER.glob("*.json")) if FOLDER.exists() else []
    return sum(_end(record) for record in records)


def _end(record: Path) -> bool:
    found = _read(record)
    record.unlink(missing_ok=True)
    if not found:
        return False
    with suppress(ProcessLookupError):
        os.kill(int(found["pid"]), signal.SIGTERM)
    return True


def _read(record: Path) -> dict[str, str | int] | None:
    """What a file says, if its process is still the one that we started."""
    try:
        found: dict[str, str | int] = json.loads(record.read_text())
        return found if _start_time(int(found["pid"])) == found["started"] else None
    except (OSError, ValueError, KeyError):
        return None


def _start_time(pid: int) -> str:
    """When a process began, in the kernel's ticks; without /proc (macOS) as ps says it. Empty: it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with suppress(OSError):
            # The name in parentheses may hold blanks: count from its end.
            return stat.read_text().rpartition(")")[2].split()[19]
        return ""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
