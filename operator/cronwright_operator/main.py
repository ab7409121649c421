"""Connects to the API server and the kubelets, runs the operator, and ends it on a signal."""

from __future__ import annotations

import asyncio
import logging
import signal

from cronwright_core import __version__
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.kubelet import KubeletClient
from cronwright_core.kube.kubelet_logs import KubeletLogs
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.running import Operator
from cronwright_operator.settings import OperatorSettings
from cronwright_operator.usage.figures import SWITCHED_OFF, ClusterFigures
from cronwright_operator.wiring import Parts

logger = logging.getLogger(__name__)


async def run_operator(settings: OperatorSettings, metrics: OperatorMetrics | None = None) -> None:
    """Connects, runs, and ends on SIGTERM or SIGINT. `metrics` go on where they stand."""
    metrics = metrics or OperatorMetrics()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stop.set)
    agent = f"cronwright-operator/{__version__}"
    client = await KubeClient.connect(user_agent=agent, observe=metrics.kube.observe)
    try:
        if not (settings.node_metrics or settings.log_kubelet_files):
            await Operator(Parts(settings, client, None, metrics=metrics)).run(stop)
            return
        try:
            kubelets = await KubeletClient.connect(
                user_agent=agent, ca_file=settings.kubelet_ca_file, insecure_tls=settings.kubelet_insecure_tls
            )
        except OSError as error:
            # Tasks run all the same; the figures are null and say why, and output comes from the API server.
            logger.error("the authorities in kubelet.caBundle cannot be used: %s", error)
            problem = ClusterFigures(reason="BadCaBundle", message=f"kubelet.caBundle cannot be used: {error}")
            problem = problem if settings.node_metrics else SWITCHED_OFF
            await Operator(Parts(settings, client, None, problem, metrics)).run(stop)
            return
        files = KubeletLogs(kubelets, port=settings.kubelet_port) if settings.log_kubelet_files else None
        try:
            asked = kubelets if settings.node_metrics else None
            await Operator(Parts(settings, client, asked, metrics=metrics, log_files=files)).run(stop)
        finally:
            await kubelets.close()
    finally:
        await client.close()
