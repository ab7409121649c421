"""One authority, and one certificate for each party.

Made once with openssl, renewed when they run out or the list changes.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import write_if_changed
from cluster.settings import (
    API_PORT,
    API_SERVICE_ADDRESS,
    BRIDGE_ADDRESS,
    CLUSTER_DOMAIN,
    CLUSTER_NAME,
    Layout,
)

LIFETIME_DAYS = 3650
RENEW_BEFORE_SECONDS = 30 * 86400


@dataclass(frozen=True)
class Certificate:
    """A party: user name, group, and the names it serves under (empty for a pure client)."""

    name: str
    user: str
    group: str = ""
    names: tuple[str, ...] = ()

    def subject(self) -> str:
        return f"{f'/O={self.group}' if self.group else ''}/CN={self.user}"


CERTIFICATES = (
    Certificate(
        "apiserver",
        "kube-apiserver",
        names=(
            "DNS:localhost",
            "DNS:kubernetes",
            "DNS:kubernetes.default",
            "DNS:kubernetes.default.svc",
            f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN}",
            "IP:127.0.0.1",
            f"IP:{API_SERVICE_ADDRESS}",
            f"IP:{BRIDGE_ADDRESS}",
        ),
    ),
    Certificate("kubelet-server", f"system:node:{CLUSTER_NAME}", names=(f"DNS:{CLUSTER_NAME}", f"IP:{BRIDGE_ADDRESS}")),
    Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    Certificate("admin", "kubernetes-admin", "system:masters"),
    Certificate("controller-manager", "system:kube-controller-manager"),
    Certificate("scheduler", "system:kube-scheduler"),
    Certificate("kubelet", f"system:node:{CLUSTER_NAME}", "system:nodes"),
    Certificate("kube-proxy", "system:kube-proxy"),
    Certificate("coredns", "system:coredns"),
    # Requests that the API server forwards to an extension server are signed by this.
    Certificate("front-proxy-client", "front-proxy-client"),
)


def ensure_certificates(layout: Layout) -> None:
    """Makes what is missing and writes a kubeconfig for every client.

    Keys never leave `pki` but for the kubeconfigs, both mode 0600.
    """
    pki = layout.pki
    wanted = json.dumps([str(certificate) for certificate in CERTIFICATES])
    if not _is_valid(pki, wanted):
        # All anew: certificates of an old authority would be refused by the rest.
        shutil.rmtree(pki, ignore_errors=True)
        pki.mkdir(parents=True, mode=0o700)
        _make_authority(pki)
        for certificate in CERTIFICATES:
            _make_certificate(pki, certificate)
        _openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", str(pki / "service-account.key"))
        (pki / "complete").write_text(wanted)
    layout.config.mkdir(parents=True, exist_ok=True)
    for name in ("controller-manager", "scheduler", "kubelet", "kube-proxy", "coredns"):
        write_kubeconfig(layout.config / f"{name}.kubeconfig", pki, name)
    write_kubeconfig(layout.kubeconfig, pki, "admin")


def _is_valid(pki: Path, wanted: str) -> bool:
    try:
        if (pki / "complete").read_text() != wanted:
            return False
    except OSError:
        return False
    check = ["openssl", "x509", "-checkend", str(RENEW_BEFORE_SECONDS), "-noout", "-in", str(pki / "apiserver.crt")]
    return subprocess.run(check, capture_output=True).returncode == 0


def _make_authority(pki: Path) -> None:
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", str(LIFETIME_DAYS), "-subj", f"/CN={CLUSTER_NAME}-ca"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        *("-keyout", str(pki / "ca.key"), "-out", str(pki / "ca.crt")),
    )


def _make_certificate(pki: Path, certificate: Certificate) -> None:
    extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    extensions.append(f"extendedKeyUsage={'serverAuth' if certificate.names else 'clientAuth'}")
    if certificate.names:
        extensions.append(f"subjectAltName={','.join(certificate.names)}")
    (pki / "extensions.cnf").write_text("\n".join(extensions) + "\n")
    key, request, result = (str(pki / f"{certificate.name}.{ending}") for ending in ("key", "csr", "crt"))
    _openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", certificate.subject(), "-keyout", key, "-out", request),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key")),
        *("-CAcreateserial", "-days", str(LIFETIME_DAYS), "-extfile", str(pki / "extensions.cnf"), "-out", result),
    )


def _openssl(*arguments: str) -> None:
    answer = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if answer.returncode != 0:
        raise ClusterError(f"openssl {arguments[0]} failed: {answer.stderr.strip()}", "Is there space on the disk?")


def write_kubeconfig(path: Path, pki: Path, name: str) -> None:
    """Writes a kubeconfig with everything inside (JSON, which is YAML), mode 0600, by a rename."""

    def embed(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    server = {"server": f"https://127.0.0.1:{API_PORT}", "certificate-authority-data": embed("ca.crt")}
    user = {"client-certificate-data": embed(f"{name}.crt"), "client-key-data": embed(f"{name}.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CLUSTER_NAME, "cluster": server}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": CLUSTER_NAME, "context": {"cluster": CLUSTER_NAME, "user": name}}],
        "current-context": CLUSTER_NAME,
    }
    write_if_changed(path, json.dumps(content, indent=1), mode=0o600)
