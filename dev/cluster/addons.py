"""What the cluster itself needs inside Kubernetes: rights of the DNS server, which a stock installation gives as
well.
"""

from __future__ import annotations

from typing import Any

from cluster.apiserver import ApiServer

RBAC_PATH = "/apis/rbac.authorization.k8s.io/v1"


def build_dns_rights() -> tuple[dict[str, Any], dict[str, Any]]:
    """ClusterRole and binding for the user `system:coredns`."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}],
    }
    return role, binding


def ensure_rights(server: ApiServer) -> None:
    """Applies the rights. kube-proxy's and the controllers' come with the API server itself."""
    role, binding = build_dns_rights()
    server.apply(f"{RBAC_PATH}/clusterroles", role)
    server.apply(f"{RBAC_PATH}/clusterrolebindings", binding)
