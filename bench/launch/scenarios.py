"""One scenario: so many runs due at one minute, made by one way of launching, observed until all have a Pod."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.audit_log import NewJobs
from bench.launch import loads, processors, speed
from bench.launch.observing import Observer, Seen
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.resources import CRON_JOBS
from cronwright_operator.settings import OperatorSettings

LEAD_SECONDS = 6.0
"""Everything is quiet for at least so long before the tick."""
SILENCE_SECONDS = 60.0
"""When nothing has come for so long, what is missing is not late but lost."""
Progress = Callable[[str], None]
BARE_CLIENT = "bare-client"
"""Makes the same Jobs at the tick and does nothing else: what anybody could reach here."""
AT_ONCE: int = OperatorSettings.model_fields["reconcile_workers"].default
"""Requests at once of the bare client, as of the operator."""
_MAKERS = {"native": (loads.make_native, 0.02), "native-alike": (loads.make_native_alike, 0.05)}
"""What makes the load of the ways without an operator, and in about how many seconds for each run."""


@dataclass(frozen=True)
class Result:
    """When each Job was made, and what was seen; times are wall seconds, by name. `used` is the processor time of each
    process, in seconds, from the tick until the last Job was made, and until the last Pod and CronJob status. `piece`
    is what a piece of work needed until the last Job was made, in seconds of processor time."""

    way: str
    due: int
    tick: float
    made: dict[str, float]
    seen: Seen
    used: tuple[processors.Times, processors.Times]
    piece: float

    def lateness(self, what: str) -> list[float]:
        """Seconds from the tick to `made`, `jobs`, `admitted`, `pods` or `covered`, in order, of those that came."""
        times: dict[str, float] = self.made if what == "made" else getattr(self.seen, what)
        return sorted(value - self.tick for value in times.values())


async def run(
    client: KubeClient,
    way: str,
    due: int,
    settle: Callable[[int], Awaitable[None]],
    progress: Progress,
    pids: Mapping[str, int],
    audit: Path,
) -> Result:
    """For a `way` without an operator CronJobs are made, or else ScheduledTasks; `settle` waits until the operator is
    done with them. `pids` are the processes whose use of the processors is told; `audit` is the folder of the log of
    new Jobs."""
    namespace = f"{way}-{due}-{int(time.time())}"
    await loads.make_namespace(client, namespace)
    tick, at_tick = await _make(client, way, namespace, due, settle, progress)
    async with speed.measuring() as pieces, Observer(client, namespace) as observer, asyncio.TaskGroup() as group:
        group.create_task(at_tick())
        await _until(tick)
        seen, jobs = observer.seen, NewJobs(audit, namespace)
        before = processors.read(pids)
        until_jobs: processors.Times = {}
        newest = 0
        heard = time.time()
        while time.time() < heard + SILENCE_SECONDS:
            if newest != (newest := len(seen.jobs) + len(seen.admitted) + len(seen.pods) + len(seen.covered)):
                heard = time.time()
            progress(
                f"{way} {due}: {len(jobs.read())} Jobs, {len(seen.pods)} with a Pod, {len(seen.covered)} CronJobs right"
            )
            if not until_jobs and len(jobs.times) >= due:
                until_jobs = processors.used(before, processors.read(pids))
            if min(len(seen.jobs), len(seen.pods)) >= due and (way == BARE_CLIENT or len(seen.covered) >= due):
                break
            await asyncio.sleep(0.2)
        used = until_jobs, processors.used(before, processors.read(pids))
        # A second Job of the same tick would come now.
        await asyncio.sleep(3)
        made = jobs.read()
        piece = pieces.seconds(tick.timestamp(), max(made.values(), default=tick.timestamp()))
        return Result(way, due, tick.timestamp(), made, seen, used, piece)


async def _make(
    client: KubeClient,
    way: str,
    namespace: str,
    due: int,
    settle: Callable[[int], Awaitable[None]],
    progress: Progress,
) -> tuple[datetime, Callable[[], Awaitable[None]]]:
    """Make what is due; answer when, and what to do then. Making it takes a while, so the tick is set at a first guess
    of how long."""

    async def nothing() -> None:
        return

    progress(f"{way} {due}: making it")
    if way == BARE_CLIENT:
        tick = _next_minute(10 + due * 0.05)
        jobs = await loads.prepare_jobs(client, namespace, due, tick)

        async def make_jobs() -> None:
            await _until(tick - timedelta(seconds=3))
            await client.open_connections(AT_ONCE)
            await _until(tick)
            await loads.make_jobs(client, namespace, jobs, AT_ONCE)

        return tick, make_jobs
    make, seconds_each = _MAKERS.get(way, (loads.make_tasks, 0.08))
    guess = 10 + due * seconds_each
    tick = _next_minute(guess)
    await make(client, namespace, due, tick)
    if way not in _MAKERS:
        await settle(due)
    while len((await client.list(CRON_JOBS, namespace)).items) < due:  # noqa: ASYNC110 - the API server is asked
        await asyncio.sleep(0.5)
    if time.time() + LEAD_SECONDS / 2 > tick.timestamp():
        raise RuntimeError(f"{due} by {way} took longer to make than {guess:.0f} s")
    return tick, nothing


async def _until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, moment.timestamp() - time.time()))


def _next_minute(lead_seconds: float) -> datetime:
    earliest = datetime.now(UTC) + timedelta(seconds=lead_seconds + LEAD_SECONDS)
    return earliest.replace(second=0, microsecond=0) + timedelta(minutes=1)
