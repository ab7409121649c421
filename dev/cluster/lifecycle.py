"""Up and down: the order in which the cluster starts, what is done about the remains of an unclean end, and how it
goes away.

State that was valid before (etcd, images, volumes) is used again. If the cluster does not come up with it, everything
but images and binaries is thrown away and a fresh one is started, and that is said.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cluster import (
    audit,
    certificates,
    containerd,
    controlplane,
    health,
    iptables,
    kernel,
    network,
    node,
    runtime,
    storage,
)
from cluster.addons import ensure_rights
from cluster.apiserver import ApiServer, RequestFailed
from cluster.binaries import ensure_binaries
from cluster.console import format_duration, say, step
from cluster.errors import ClusterError, ComponentFailed, LeftoverFound
from cluster.packages import CLUSTER_PACKAGES, ensure_packages, require_root
from cluster.processes import Component, Supervisor
from cluster.settings import (
    API_PORT,
    BRIDGE,
    BRIDGE_ADDRESS,
    CONTROLLER_MANAGER_PORT,
    ETCD_PORT,
    KUBELET_PORT,
    SCHEDULER_PORT,
    Layout,
)
from cluster.teardown import COMPONENTS, NODE, clear_runtime, list_leftovers, reset, stop_all, supervise

PORTS = {
    "etcd": ("127.0.0.1", ETCD_PORT),
    "kube-apiserver": ("0.0.0.0", API_PORT),
    "kube-controller-manager": ("127.0.0.1", CONTROLLER_MANAGER_PORT),
    "kube-scheduler": ("127.0.0.1", SCHEDULER_PORT),
    "kubelet": (BRIDGE_ADDRESS, KUBELET_PORT),
    "coredns": (BRIDGE_ADDRESS, 53),
}

# Generous, for a machine whose two cores are also busy with tests; a component that ends is noticed at once.
DEADLINE_SECONDS = {"etcd": 60.0, "containerd": 45.0, "kube-apiserver": 150.0}
DEFAULT_DEADLINE_SECONDS = 120.0
HANGING_SECONDS = 20.0
PORT_SECONDS = 10.0


def up(layout: Layout) -> None:
    """Brings the cluster up, or leaves a healthy one alone. Raises ClusterError with what failed and what to do."""
    require_root()
    started = time.monotonic()
    ensure_packages(CLUSTER_PACKAGES)
    binaries = ensure_binaries(layout)
    with _exclusive(layout):
        has_past = layout.etcd.exists()
        try:
            _start(layout, binaries)
        except ComponentFailed as failure:
            if not has_past:
                raise
            say(f"  {failure.message}")
            say("  The state of the last run does not come up: starting afresh, without its objects and volumes.")
            reset(layout, with_images=failure.component in ("containerd", "kubelet"))
            _start(layout, binaries)
    say(f"Cluster is up after {format_duration(time.monotonic() - started)}. KUBECONFIG={layout.kubeconfig}")


def down(layout: Layout, purge: bool = False) -> None:
    """Takes the cluster away: processes, mounts, interfaces, rules, cgroups, kernel settings. With `purge` its data
    as well.

    Works on a cluster that is half there or not at all. Raises LeftoverFound if anything remains.
    """
    require_root()
    with _exclusive(layout):
        supervisor = supervise(layout)
        if not any(supervisor.is_running(name) for name in COMPONENTS):
            # A cluster runs that this state folder knows nothing of: its Pods and rules are not ours to take away.
            for name in ("etcd", "kube-apiserver"):
                _require_port(name)
        stop_all(layout)
        with step("network and kernel settings", quiet_below_seconds=0.5):
            network.remove_network(layout)
            iptables.remove_our_rules()
            kernel.restore_settings(layout.before)
        leftovers = list_leftovers(layout)
        if leftovers:
            raise LeftoverFound(
                "still on this machine:\n    " + "\n    ".join(leftovers),
                "Run `python3 dev/cluster down` again; what is busy now may be free then.",
            )
        runtime.wipe_run(layout)
        if purge:
            runtime.wipe_pods(layout)
            shutil.rmtree(layout.state, ignore_errors=True)
    say("Cluster is down." + (f" {layout.state} is removed." if purge else f" Its data stays in {layout.state}."))


def status(layout: Layout) -> bool:
    """Prints what runs; answers whether all of it is healthy."""
    supervisor = supervise(layout)
    healthy = True
    server = ApiServer(layout)
    for name in COMPONENTS:
        identity = supervisor.pid_files.find_living(name)
        problem = "not running" if identity is None else _check(name, layout, server)
        healthy = healthy and problem is None
        say(f"  {name:<26}{f'pid {identity.pid}' if identity else '-':<14}{problem or 'healthy'}")
    if healthy:
        for name, check in _whole_checks(server, None).items():
            problem = check()
            healthy = healthy and problem is None
            say(f"  {name:<40}{problem or 'healthy'}")
        say(f"KUBECONFIG={layout.kubeconfig}")
    return healthy


def _start(layout: Layout, binaries: Path) -> None:
    supervisor = supervise(layout)
    server = ApiServer(layout)
    with step("certificates", quiet_below_seconds=0.3):
        certificates.ensure_certificates(layout)
    pause_image = containerd.build_pause_name(binaries / "pause")
    runtime_component = containerd.build_component(layout, containerd.write_config(layout, pause_image))
    # Before anything is cleared: a cluster with another state folder may be running, and its Pods are not ours to end.
    for name in ("etcd", "kube-apiserver"):
        if not supervisor.is_running(name):
            _require_port(name)
    runtime_works = supervisor.is_current(runtime_component) and containerd.is_answering(layout)
    if not runtime_works or not (network.INTERFACES / BRIDGE).exists():
        _sweep(layout, supervisor)
    with step("network", quiet_below_seconds=0.3):
        network.set_up_network(layout)

    _launch(layout, supervisor, runtime_component)
    _launch(layout, supervisor, controlplane.build_etcd(layout, binaries))
    _wait(layout, supervisor, "etcd", lambda: _check("etcd", layout, server))
    policy = audit.write_policy(layout)
    _launch(layout, supervisor, controlplane.build_api_server(layout, binaries, policy))
    _wait(layout, supervisor, "containerd", lambda: _check("containerd", layout, server))
    containerd.import_pause(layout, binaries / "pause")
    _wait(layout, supervisor, "kube-apiserver", lambda: _check("kube-apiserver", layout, server))
    _retry(lambda: ensure_rights(server), 30)

    since = datetime.now(UTC)
    rest = (
        controlplane.build_controller_manager(layout, binaries),
        controlplane.build_scheduler(layout, binaries),
        node.build_kubelet(layout, binaries),
        node.build_proxy(layout, binaries),
        node.build_dns(layout, binaries),
    )
    launched = [component.name for component in rest if _launch(layout, supervisor, component)]
    for component in rest:
        name = component.name
        _wait(layout, supervisor, name, lambda name=name: _check(name, layout, server))  # type: ignore[misc]
    with step("storage", quiet_below_seconds=1):
        _retry(lambda: storage.ensure_storage(layout, server), 30)
    for name, check in _whole_checks(server, since if "kubelet" in launched else None).items():
        _wait(layout, supervisor, name, check, owner=_OWNERS[name])
    if "kubelet" in launched:
        reports_true = lambda: health.check_pods(server, containerd.list_running(layout))  # noqa: E731
        _wait(layout, supervisor, "Pods' reports", reports_true, owner="kubelet")


# Which component's log explains it when one of the checks of the whole fails.
_OWNERS = {
    "node ready": "kubelet",
    "default service account": "kube-controller-manager",
    "service addresses": "kube-proxy",
    "DNS": "coredns",
}


def _whole_checks(server: ApiServer, since: datetime | None) -> dict[str, Callable[[], str | None]]:
    return {
        "node ready": lambda: health.check_node(server, since),
        "default service account": lambda: health.check_service_account(server),
        "service addresses": health.check_service_address,
        "DNS": health.check_dns,
    }


def _check(name: str, layout: Layout, server: ApiServer) -> str | None:
    if name == "containerd":
        return None if containerd.is_answering(layout) else "does not answer on its socket"
    if name == "kube-apiserver":
        return server.is_ready()
    return health.check_endpoint(name)


def _launch(layout: Layout, supervisor: Supervisor, component: Component) -> bool:
    """Starts a component that does not run, hangs or has other settings than it should; answers whether it did."""
    if supervisor.is_current(component) and _recovers(layout, component.name):
        return False
    supervisor.stop([component.name])
    _require_port(component.name)
    supervisor.start(component)
    return True


def _require_port(name: str) -> None:
    if name not in PORTS:
        return
    address, port = PORTS[name]
    # A predecessor that was killed holds it until the kernel has closed all that it had open.
    deadline = time.monotonic() + PORT_SECONDS
    while not (free := network.is_port_free(address, port)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not free:
        raise ClusterError(
            f"{name} needs port {port} on {address}, which is taken: {_port_owner(port)}",
            "End that process, or run `python3 dev/cluster down` with the CRONWRIGHT_STATE it was started with.",
        )


def _recovers(layout: Layout, name: str) -> bool:
    """Whether a running component is healthy, or becomes so within the time that a busy machine may need."""
    server = ApiServer(layout)
    deadline = time.monotonic() + HANGING_SECONDS
    with step(f"{name} answers", quiet_below_seconds=2):
        while _check(name, layout, server) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.3)
    return True


def _wait(
    layout: Layout, supervisor: Supervisor, name: str, check: Callable[[], str | None], owner: str | None = None
) -> None:
    """Polls until the check passes. Raises ComponentFailed when the component ends or the deadline passes."""
    component = owner or name
    seconds = DEADLINE_SECONDS.get(name, DEFAULT_DEADLINE_SECONDS)
    deadline = time.monotonic() + seconds
    with step(name, quiet_below_seconds=0.3) as current:
        while (problem := check()) is not None:
            current.detail = problem[:100]
            log = supervisor.log_of(component)
            if not supervisor.is_running(component):
                raise ComponentFailed(component, "has ended", log, f"Its log is {log}.")
            if time.monotonic() > deadline:
                reason = f"not healthy after {seconds:.0f} s: {problem}"
                raise ComponentFailed(component, reason, log, f"Its log is {log}.")
            time.sleep(0.2)
        current.detail = ""


def _retry(action: Callable[[], object], seconds: float) -> None:
    """Repeats a request that a just started API server may refuse (its own objects are not all there at once)."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            action()
        except RequestFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _sweep(layout: Layout, supervisor: Supervisor) -> None:
    """Clears the node of what a runtime that is gone left behind.

    Pods come back from the API server's record, their volumes stay.
    """
    with step("clearing the node", quiet_below_seconds=0.5):
        stubborn = supervisor.stop([*NODE, "containerd"])
        runtime.end_containers(layout, grace_seconds=5)
        if stubborn:
            raise ClusterError(f"processes {[identity.pid for identity in stubborn]} cannot be ended")
        clear_runtime(layout)
        network.remove_ports()
        iptables.remove_our_rules()
    layout.run.mkdir(parents=True, exist_ok=True)


def _port_owner(port: int) -> str:
    answer = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True)
    return " ".join(answer.stdout.split()) or "by a process that cannot be seen from here"


@contextmanager
def _exclusive(layout: Layout) -> Iterator[None]:
    """One `up` or `down` on the machine at a time; a second one waits."""
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("another up or down is running"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
