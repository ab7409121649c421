"""etcd, API server, controller manager and scheduler: their command lines, and how each is known to be healthy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cluster import audit
from cluster.errors import ClusterError
from cluster.processes import Component
from cluster.settings import (
    API_PORT,
    BRIDGE_ADDRESS,
    CLUSTER_NAME,
    CONTROLLER_MANAGER_PORT,
    ETCD_METRICS_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    POD_RANGE,
    SCHEDULER_PORT,
    SERVICE_RANGE,
    Layout,
)

# Gives `?stream=Stdout|Stderr` on the Pod log call; both API server and kubelet must have it.
FEATURE_GATES = "PodLogsQuerySplitStreams=true"


def build_etcd(layout: Layout, binaries: Path) -> Component:
    peer = f"http://127.0.0.1:{ETCD_PEER_PORT}"
    client = f"http://127.0.0.1:{ETCD_PORT}"
    return Component(
        "etcd",
        (
            str(binaries / "etcd"),
            f"--name={CLUSTER_NAME}",
            f"--data-dir={layout.etcd}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={CLUSTER_NAME}={peer}",
            f"--listen-metrics-urls=http://127.0.0.1:{ETCD_METRICS_PORT}",
            # Benchmarks write much; unlike the default of 2 GiB this is not reached, and old revisions go every hour.
            "--quota-backend-bytes=6442450944",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=1h",
            "--log-level=warn",
        ),
    )


def build_api_server(layout: Layout, binaries: Path, audit_policy: Path | None = None) -> Component:
    """With an audit log if there is a policy for it."""
    pki = layout.pki
    audited = audit.build_arguments(layout, audit_policy) if audit_policy is not None else ()
    return Component(
        "kube-apiserver",
        (
            str(binaries / "kube-apiserver"),
            # Pods reach it at the advertised address, through kube-proxy; people at 127.0.0.1.
            "--bind-address=0.0.0.0",
            f"--advertise-address={BRIDGE_ADDRESS}",
            f"--secure-port={API_PORT}",
            f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--anonymous-auth=false",
            f"--feature-gates={FEATURE_GATES}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={pki}/ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
            f"--proxy-client-key-file={pki}/front-proxy-client.key",
            f"--service-account-key-file={pki}/service-account.key",
            f"--service-account-signing-key-file={pki}/service-account.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            *audited,
        ),
        inputs=(pki / "apiserver.crt", *((audit_policy,) if audit_policy is not None else ())),
    )


def build_controller_manager(layout: Layout, binaries: Path, environment: Mapping[str, str] = os.environ) -> Component:
    """At its default client rate (20 requests a second), unless CRONWRIGHT_KCM_QPS raises it for a benchmark."""
    pki = layout.pki
    config = layout.config / "controller-manager.kubeconfig"
    rate = environment.get("CRONWRIGHT_KCM_QPS", "")
    if rate and not (rate.isdecimal() and int(rate) > 0):
        raise ClusterError(f"CRONWRIGHT_KCM_QPS is {rate!r}: it is the controller manager's requests a second, as 100")
    rates = (f"--kube-api-qps={int(rate)}", f"--kube-api-burst={int(rate) * 2}") if rate else ()
    return Component(
        "kube-controller-manager",
        (
            str(binaries / "kube-controller-manager"),
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={CONTROLLER_MANAGER_PORT}",
            f"--cluster-cidr={POD_RANGE}",
            "--allocate-node-cidrs=false",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/service-account.key",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            *rates,
        ),
        inputs=(config,),
    )


def build_scheduler(layout: Layout, binaries: Path) -> Component:
    config = layout.config / "scheduler.kubeconfig"
    return Component(
        "kube-scheduler",
        (
            str(binaries / "kube-scheduler"),
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={SCHEDULER_PORT}",
            "--leader-elect=false",
        ),
        inputs=(config,),
    )
