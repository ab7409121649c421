"""What the chart renders is what the API server takes: each object is shown to it, by a dry run that changes nothing.

So are the kinds that nothing here can run: NetworkPolicy, HorizontalPodAutoscaler, Ingress. A warning is a failure too.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from support import chart
from support.cluster import OWN_CONTEXTS, SYSTEM, kubectl

OPTIONS: dict[str, Any] = {
    "commonLabels": {"team": "platform"},
    "settings.ignoreNamespaces": ["other"],
    "api.autoscaling.enabled": True,
    "api.ingress": {
        "enabled": True,
        "hosts": ["cron.example"],
        "tls": [{"secretName": "s", "hosts": ["cron.example"]}],
    },
    "networkPolicy": {
        "enabled": True,
        "apiFrom": [{"namespaceSelector": {}}],
        "apiServer": {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [6443]},
    },
    "uninstall.suspendCronJobs": True,
    "auth.jwks.url": "https://sso.example:8443/keys",
    "nodeMetrics.enabled": True,
    "kubelet.caBundle": "-----BEGIN CERTIFICATE-----\nMIIB",
    "api.extraEnv": [{"name": "A", "value": "b"}],
    "api.extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "api.extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    # The other release owns the CRDs.
    "crds.enabled": False,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {"crds.enabled": False},
    "every option": OPTIONS,
    "some namespaces": {"settings.watchNamespaces": [SYSTEM], "uninstall.suspendCronJobs": True, "crds.enabled": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_object(variant: str) -> None:
    context = kubectl("config", "current-context").strip()
    assert context in OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")}
    rendered = chart.render(VARIANTS[variant], release="dry-run", namespace=SYSTEM)
    document = {"apiVersion": "v1", "kind": "List", "items": rendered.objects}
    done = subprocess.run(
        [os.environ.get("CRONWRIGHT_KUBECTL") or "kubectl", "create", "--dry-run=server", "-o", "name", "-f", "-"],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, "PodSecurity, or a deprecated or unknown field"
    assert len(done.stdout.split()) == len(rendered.objects)
