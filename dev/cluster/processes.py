"""Processes that outlive this program, and how they are known again: pid, start time and boot, so that a recycled pid
is never ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process and no other: the kernel gives a pid again, but not with the same start time in the same boot."""

    pid: int
    start_time: int
    boot: str


@dataclass(frozen=True)
class Component:
    """A program of the cluster: how it is started. `inputs` are files whose change asks for a restart."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """Changes when the command line, the environment or an input file does."""
        digest = hashlib.sha256(repr((self.command, sorted(self.environment.items()))).encode())
        for path in self.inputs:
            digest.update(b"\0" + path.read_bytes())
        return digest.hexdigest()


def parse_start_time(stat: str) -> int:
    """Field 22 of /proc/<pid>/stat in clock ticks; the command's name before it may hold spaces and brackets."""
    return int(stat.rpartition(")")[2].split()[19])


def is_zombie(stat: str) -> bool:
    """Whether /proc/<pid>/stat is that of a process that has ended and is not yet reaped."""
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def read_boot() -> str:
    """The id of this boot of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """The identity of a living process, or None if there is none (a zombie counts as none)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    if is_zombie(stat):
        return None
    return Identity(pid, parse_start_time(stat), read_boot())


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs."""
    return identify(identity.pid) == identity


def send_signal(identity: Identity, number: signal.Signals) -> None:
    """Signals exactly this process; one that is gone is left alone, even if its pid lives on in another."""
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return
    try:
        # The handle names whoever had the pid when it was opened, and that is the one checked here.
        if is_alive(identity):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def end_processes(identities: Iterable[Identity], grace_seconds: float) -> list[Identity]:
    """SIGTERM to all, SIGKILL after the grace to those left. Answers those that live even then."""
    remaining = [identity for identity in identities if is_alive(identity)]
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        for identity in remaining:
            send_signal(identity, number)
        deadline = time.monotonic() + seconds
        while remaining and time.monotonic() < deadline:
            time.sleep(0.05)
            remaining = [identity for identity in remaining if is_alive(identity)]
    return remaining


def await_reaping(identities: Iterable[Identity], seconds: float) -> None:
    """Waits until ended processes are off the process list as well.

    They are the first process's children once the `up` that started them has gone, and it takes its time to reap
    them; one that never does (some containers' `sleep`) must not hold us up.
    """
    remaining = list(identities)
    deadline = time.monotonic() + seconds
    while remaining and time.monotonic() < deadline:
        remaining = [identity for identity in remaining if not is_alive(identity) and is_listed(identity)]
        time.sleep(0.05)


def is_listed(identity: Identity) -> bool:
    """Whether the process is on the process list, be it alive or a zombie."""
    try:
        return parse_start_time((PROC / str(identity.pid) / "stat").read_text()) == identity.start_time
    except OSError:
        return False


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without proxy settings: the components talk to each other at addresses that no proxy reaches."""
    return {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}


class PidFiles:
    """The record of started components: one JSON file each, written before anything may depend on the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> tuple[Identity, str] | None:
        """Identity and fingerprint of a recorded component; None if there is no record or it cannot be read."""
        try:
            data = json.loads((self._folder / f"{name}.json").read_text())
            return Identity(int(data["pid"]), int(data["start_time"]), str(data["boot"])), str(data["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, identity: Identity, fingerprint: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.tmp"
        record = {"pid": identity.pid, "start_time": identity.start_time, "boot": identity.boot}
        temporary.write_text(json.dumps({**record, "fingerprint": fingerprint}))
        temporary.rename(self._folder / f"{name}.json")

    def remove(self, name: str) -> None:
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def find_living(self, name: str) -> Identity | None:
        """The process of a recorded component if it still runs."""
        record = self.read(name)
        return record[0] if record and is_alive(record[0]) else None


class Supervisor:
    """Starts components in a session of their own, with a log each, and ends them.

    It does not stay: it only remembers on disk.
    """

    def __init__(self, pids: Path, logs: Path) -> None:
        self.pid_files = PidFiles(pids)
        self._logs = logs
        # Children of this very process: they must be waited for, else they stay as zombies and look alive to others.
        self._children: list[subprocess.Popen[bytes]] = []

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def is_current(self, component: Component) -> bool:
        """Whether it runs, with the command line and inputs that it should have now."""
        record = self.pid_files.read(component.name)
        return record is not None and is_alive(record[0]) and record[1] == component.fingerprint()

    def start(self, component: Component) -> None:
        """Starts it; one that runs with an old command line is ended first.

        The log of the run before is kept as `.1`.
        """
        living = self.pid_files.find_living(component.name)
        if living is not None:
            end_processes([living], grace_seconds=15)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log_of(component.name)
        if log.exists():
            log.rename(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            process = subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env={**without_proxies(os.environ), **component.environment},
            )
        self._children.append(process)
        identity = identify(process.pid)
        if identity is not None:
            self.pid_files.write(component.name, identity, component.fingerprint())

    def is_running(self, name: str) -> bool:
        self._reap()
        return self.pid_files.find_living(name) is not None

    def stop(self, names: Iterable[str], grace_seconds: float = 10.0) -> list[Identity]:
        """Ends the named components together. Answers those that would not end; the others' records are removed."""
        wanted = list(names)
        found = [identity for name in wanted if (identity := self.pid_files.find_living(name)) is not None]
        stubborn = end_processes(found, grace_seconds)
        self._reap()
        for name in wanted:
            if self.pid_files.find_living(name) is None:
                self.pid_files.remove(name)
        return stubborn

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]
