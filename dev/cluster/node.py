"""The machine as a node: kubelet, kube-proxy and the cluster's DNS, with their configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.files import write_if_changed
from cluster.kernel import has_bridge_netfilter
from cluster.processes import Component
from cluster.settings import (
    BRIDGE_ADDRESS,
    CLUSTER_DOMAIN,
    CLUSTER_NAME,
    DNS_HEALTH_PORT,
    DNS_READY_PORT,
    KUBELET_HEALTH_PORT,
    KUBELET_PORT,
    POD_RANGE,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    Layout,
)


def build_kubelet(layout: Layout, binaries: Path) -> Component:
    config = layout.config / "kubelet.json"
    write_if_changed(config, json.dumps(build_kubelet_config(layout), indent=1))
    kubeconfig = layout.config / "kubelet.kubeconfig"
    return Component(
        "kubelet",
        (
            str(binaries / "kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={layout.kubelet}",
            f"--hostname-override={CLUSTER_NAME}",
            f"--node-ip={BRIDGE_ADDRESS}",
        ),
        inputs=(config, kubeconfig),
    )


def build_kubelet_config(layout: Layout) -> dict[str, Any]:
    """The kubelet's configuration; what is not here is Kubernetes' default, so that Pods meet an ordinary node."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": BRIDGE_ADDRESS,
        "port": KUBELET_PORT,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": KUBELET_HEALTH_PORT,
        "tlsCertFile": str(layout.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet-server.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [BRIDGE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "volumePluginDir": str(layout.kubelet / "volume-plugins"),
        "featureGates": {"PodLogsQuerySplitStreams": True},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "maxPods": 250,
        # Images come from archives and cannot be pulled again, and a developer's disk is often nearly full.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def build_proxy(layout: Layout, binaries: Path) -> Component:
    config = layout.config / "kube-proxy.json"
    write_if_changed(config, json.dumps(build_proxy_config(layout), indent=1))
    kubeconfig = layout.config / "kube-proxy.kubeconfig"
    return Component("kube-proxy", (str(binaries / "kube-proxy"), f"--config={config}"), inputs=(config, kubeconfig))


def build_proxy_config(layout: Layout) -> dict[str, Any]:
    """NodePorts answer on this machine only. Connection tracking limits stay the machine's own (0 = leave alone)."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": CLUSTER_NAME,
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{PROXY_METRICS_PORT}",
        "nodePortAddresses": ["127.0.0.0/8", POD_RANGE],
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        # Without br_netfilter an answer between two Pods of the bridge passes iptables only if it goes by the node's
        # address.
        "iptables": {"masqueradeAll": not has_bridge_netfilter(), "localhostNodePorts": True},
    }


def build_dns(layout: Layout, binaries: Path) -> Component:
    config = layout.config / "Corefile"
    write_if_changed(config, build_corefile(layout))
    kubeconfig = layout.config / "coredns.kubeconfig"
    return Component("coredns", (str(binaries / "coredns"), "-conf", str(config)), inputs=(config, kubeconfig))


def build_corefile(layout: Layout) -> str:
    """CoreDNS on the bridge's address only: the machine may run a resolver of its own on port 53 of another."""
    return f""".:53 {{
    bind {BRIDGE_ADDRESS}
    errors
    health 127.0.0.1:{DNS_HEALTH_PORT}
    ready 127.0.0.1:{DNS_READY_PORT}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {layout.config}/coredns.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30
    loop
}}
"""
