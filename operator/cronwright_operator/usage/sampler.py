"""Asks every node once in a period what it and its Pods use, and keeps the figures until somebody records them.

All of it is memory: an operator that starts anew goes on from the kubelets' own counters. Nothing waits for it, and
without any right to look everything else works as ever - the figures are null, and it is said why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cronwright_core.domain.usage import Usage
from cronwright_core.kube.errors import KubeCertificateError, KubeError, KubeForbidden, KubeNotFound, KubeUnreachable
from cronwright_core.kube.kubelet import NodeStatistics
from cronwright_core.kube.ports import Json, ListWatchClient
from cronwright_core.kube.resources import NODE_METRICS, NODES, POD_METRICS
from cronwright_operator.usage import metrics_api, summary
from cronwright_operator.usage.figures import NOT_YET, ClusterFigures, PodUsage, cluster_figures, seen
from cronwright_operator.usage.samples import NodeFacts, NodeSample, PodRef, PodSample, to_node, to_running_pod

logger = logging.getLogger(__name__)

NODES_EVERY = timedelta(seconds=60)
"""Nodes come and go rarely. As often the disks are looked at, since a kubelet measures them no more often."""
KEEP_UNSEEN = timedelta(minutes=10)
"""How long the figures of a Pod are kept after it was last measured: its end is recorded within seconds."""
TELL_EVERY = timedelta(seconds=30)
"""How often the record of a running execution is brought up to date."""
_AT_ONCE = 16


class Sampler:
    """`usage` and `figures` answer at once with what the last round has seen; `sample` is a round."""

    def __init__(
        self,
        lists: ListWatchClient,
        kubelets: NodeStatistics,
        pods: Callable[[], Iterable[Json]],
        *,
        tell: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        """`pods` are all Pods of tasks as JSON; `tell(job_uid)` says that a running execution has new figures."""
        self._lists = lists
        self._kubelets = kubelets
        self._pods = pods
        self._tell = tell
        self._now = now
        self._nodes: dict[str, NodeFacts] = {}
        self._nodes_time: datetime | None = None
        self._disks: dict[str, NodeSample] = {}
        self._usage: dict[str, PodUsage] = {}
        self._told: dict[str, datetime] = {}
        self._figures = NOT_YET
        self._problem: str | None = None

    def usage(self, pod_uid: str) -> Usage:
        """What the Pod has used so far."""
        known = self._usage.get(pod_uid)
        return known.figures() if known is not None else Usage()

    def figures(self) -> ClusterFigures:
        """What the nodes used at the last look."""
        return self._figures

    async def sample(self) -> None:
        """One round. Raises nothing: what could not be read stands in the figures' reason."""
        running = {ref.uid: ref for body in self._pods() if (ref := to_running_pod(body)) is not None}
        try:
            await self._list_nodes()
        except KubeError as error:
            self._conclude(ClusterFigures(reason=_reason(error), message=f"the nodes cannot be listed: {error}"))
            return
        if not self._nodes:
            self._conclude(ClusterFigures(reason="NoNodes", message="the cluster has no node"))
            return
        samples, of_pods, failed = await self._ask_kubelets(running)
        source = "kubelet" if samples else None
        problem: KubeError | None = next(iter(failed.values()), None)
        if failed:
            more, more_pods = await self._ask_metrics_api(failed, running)
            source = source or ("metrics.k8s.io" if more else None)
            samples, of_pods = {**more, **samples}, {**more_pods, **of_pods}
        figures = cluster_figures(self._nodes, self._with_disks(samples), source=source)
        if problem is not None:
            missing = len(self._nodes) - figures.nodes_measured
            reason = _reason(problem) if figures.nodes_measured == 0 else "Partial"
            message = f"{len(failed)} of {len(self._nodes)} kubelets could not be read: {problem}"
            if missing < len(failed):
                message += "; metrics.k8s.io was asked instead, which knows no disks"
            figures = replace(figures, reason=reason, message=message)
        self._add(of_pods, running)
        self._conclude(figures)

    async def _list_nodes(self) -> None:
        if self._nodes_time is not None and self._now() - self._nodes_time < NODES_EVERY:
            return
        nodes = {}
        for body in (await self._lists.list(NODES, None)).items:
            try:
                node = to_node(body)
            except (KeyError, ValueError):
                continue
            nodes[node.name] = node
        self._nodes, self._nodes_time = nodes, self._now()
        self._disks = {name: sample for name, sample in self._disks.items() if name in nodes}

    async def _ask_kubelets(
        self, running: Mapping[str, PodRef]
    ) -> tuple[dict[str, NodeSample], dict[str, PodSample], dict[str, KubeError]]:
        at_once = asyncio.Semaphore(_AT_ONCE)
        samples: dict[str, NodeSample] = {}
        of_pods: dict[str, PodSample] = {}
        failed: dict[str, KubeError] = {}

        async def ask(node: NodeFacts) -> None:
            if node.host is None:
                failed[node.name] = KubeUnreachable(f"the node {node.name} has no address")
                return
            disk = self._disks.get(node.name)
            recent = disk is not None and self._now() - disk.time < NODES_EVERY
            try:
                async with at_once:
                    answer = await self._kubelets.summary(node.host, node.port, cpu_and_memory_only=recent)
            except KubeError as error:
                failed[node.name] = error
                return
            sample = summary.node_sample(answer)
            if sample is not None:
                samples[node.name] = sample
                if not recent:
                    self._disks[node.name] = replace(sample, time=self._now())
            of_pods.update(summary.pod_samples(answer, running))

        await asyncio.gather(*(ask(node) for node in self._nodes.values()))
        return samples, of_pods, failed

    async def _ask_metrics_api(
        self, failed: Mapping[str, KubeError], running: Mapping[str, PodRef]
    ) -> tuple[dict[str, NodeSample], dict[str, PodSample]]:
        try:
            nodes = metrics_api.node_samples((await self._lists.list(NODE_METRICS, None)).items)
            pods: dict[str, PodSample] = {}
            if running and nodes:
                pods = metrics_api.pod_samples((await self._lists.list(POD_METRICS, None)).items, running.values())
        except KubeError as error:
            if not isinstance(error, KubeNotFound | KubeForbidden):
                logger.info("metrics.k8s.io: %s", error)
            return {}, {}
        return {name: sample for name, sample in nodes.items() if name in failed}, pods

    def _with_disks(self, samples: Mapping[str, NodeSample]) -> dict[str, NodeSample]:
        """Each node's newest sample with its disk as last seen."""
        return {
            name: replace(sample, disk_used=disk.disk_used, disk_available=disk.disk_available)
            if (disk := self._disks.get(name)) is not None
            else sample
            for name, sample in samples.items()
        }

    def _add(self, samples: Mapping[str, PodSample], running: Mapping[str, PodRef]) -> None:
        now = self._now()
        for uid, sample in samples.items():
            before = self._usage.get(uid)
            usage = self._usage[uid] = seen(before, sample)
            old = before.figures() if before is not None else Usage()
            if usage.figures() == old or now - self._told.get(uid, now - TELL_EVERY) < TELL_EVERY:
                continue
            self._told[uid] = now
            self._tell(running[uid].job_uid)
        for uid in [uid for uid, usage in self._usage.items() if uid not in running and now - usage.time > KEEP_UNSEEN]:
            del self._usage[uid]
            self._told.pop(uid, None)

    def _conclude(self, figures: ClusterFigures) -> None:
        self._figures = figures
        problem = figures.message
        if problem != self._problem:
            # Once, and not each period.
            logger.log(
                logging.WARNING if problem else logging.INFO, "node metrics: %s", problem or "all nodes are read"
            )
        self._problem = problem


def _reason(error: KubeError) -> str:
    if isinstance(error, KubeCertificateError):
        return "CertificateNotTrusted"
    if isinstance(error, KubeForbidden):
        return "Forbidden"
    return "Unreachable"
