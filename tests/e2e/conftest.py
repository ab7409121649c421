"""End-to-end: the chart as `make up` installed it, real Pods, a real PostgreSQL. Every test has a namespace of its own.

What is needed comes from the environment (`.local/env`, written by `make up`); nothing here starts a cluster.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from support import long_first
from support.cluster import OWN_CONTEXTS, Cluster, Rest, Space, kubectl
from support.second_release import FULL_NAME, NAMESPACE, SecondRelease


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long_first.order(items, workers)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    missing = [name for name in Cluster.NEEDED if not os.environ.get(name)]
    assert not missing, f"{', '.join(missing)} not set: run `make up` and use the variables of .local/env"
    context = kubectl("config", "current-context").strip()
    allowed = OWN_CONTEXTS | {os.environ.get("CRONWRIGHT_ALLOW_CONTEXT", "")}
    assert context in allowed, f"the context {context!r} is not one that `make up` made; nothing is done to it"
    return Cluster.from_environment()


@pytest.fixture
def space(cluster: Cluster) -> Iterator[Space]:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    space = Space(cluster, name)
    space.apply_project()
    yield space
    space.clear()


@pytest.fixture
def alice(cluster: Cluster) -> Rest:
    return cluster.rest("alice")


@pytest.fixture
def bob(cluster: Cluster) -> Rest:
    return cluster.rest("bob")


@pytest.fixture
def admin(cluster: Cluster) -> Rest:
    return cluster.rest("admin")


@pytest.fixture
def second(cluster: Cluster) -> Iterator[SecondRelease]:
    """One that is not installed yet; afterwards nothing of it is left. There is one at a time."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    release = SecondRelease.beside_the_first()
    yield release
    kubectl("delete", "scheduledtasks", "--all", "-n", NAMESPACE, "--wait=false")
    # Without an operator nobody else takes the finalizers off; what the test needed of the records has been read.
    if "deployment.apps/" + FULL_NAME + "-operator" in release.left():
        release.uninstall()
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")
