"""Taking the cluster away, in the order in which nothing is started again behind our back; and what is left of it
afterwards.
"""

from __future__ import annotations

import shutil

from cluster import iptables, network, runtime, storage
from cluster.console import step
from cluster.errors import LeftoverFound
from cluster.processes import Supervisor, await_reaping
from cluster.settings import Layout

CONTROL_PLANE = ("kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy", "coredns")
COMPONENTS = ("etcd", "kube-apiserver", *CONTROL_PLANE, "containerd", *NODE)


def supervise(layout: Layout) -> Supervisor:
    """Who starts and ends this cluster's components."""
    return Supervisor(layout.pids, layout.logs)


def stop_all(layout: Layout) -> None:
    """Ends every process of the cluster, whichever of them still run, and clears what the runtime holds."""
    supervisor = supervise(layout)
    ending = [identity for name in COMPONENTS if (identity := supervisor.pid_files.find_living(name)) is not None]
    ending += runtime.find_shims(layout)
    # The kubelet first: it would start again what is ended below. containerd last, shims report to it.
    for title, names in (
        ("kubelet stopped", ["kubelet"]),
        ("control plane stopped", ["kube-proxy", "coredns", *CONTROL_PLANE]),
    ):
        with step(title, quiet_below_seconds=0.3):
            supervisor.stop(names)
    with step("Pods ended", quiet_below_seconds=0.3):
        runtime.end_containers(layout, grace_seconds=10)
    with step("storage and runtime stopped", quiet_below_seconds=0.3):
        supervisor.stop(["kube-apiserver"])
        supervisor.stop(["etcd", "containerd"])
        # A shim that containerd was just starting.
        runtime.end_containers(layout, grace_seconds=1)
        await_reaping(ending, seconds=5)
    with step("mounts and cgroups removed", quiet_below_seconds=0.5):
        clear_runtime(layout)


def clear_runtime(layout: Layout) -> None:
    """Unmounts and removes what containers leave behind. Their processes must have ended."""
    remaining = runtime.unmount_all(layout)
    if remaining:
        raise LeftoverFound("cannot be unmounted:\n    " + "\n    ".join(remaining), "See who uses it: fuser -m <path>")
    runtime.remove_cgroups()
    runtime.remove_dead_shim_sockets()
    runtime.wipe_run(layout)


def reset(layout: Layout, with_images: bool) -> None:
    """Throws away what the cluster remembers: its objects, and with them the claims on volumes; images if asked."""
    stop_all(layout)
    network.remove_network(layout)
    iptables.remove_our_rules()
    runtime.wipe_pods(layout)
    for folder in (layout.etcd, layout.pki, *([layout.containerd_root] if with_images else [])):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in storage.volume_folders(layout).values():
        storage.empty_folder(folder)


def list_leftovers(layout: Layout) -> list[str]:
    """Everything of the cluster that is on the machine outside its folder, one text each."""
    supervisor = supervise(layout)
    found = [
        f"process {identity.pid} ({name})"
        for name in supervisor.pid_files.names()
        if (identity := supervisor.pid_files.find_living(name)) is not None
    ]
    found += [f"process {identity.pid} (containerd shim)" for identity in runtime.find_shims(layout)]
    found += [f"process {identity.pid} (in a Pod)" for identity in runtime.find_pod_processes()]
    found += [f"mount {point}" for point in runtime.list_mounts(layout)]
    found += [f"network interface {name}" for name in network.list_interfaces()]
    found += iptables.list_our_rules()
    found += [f"cgroup {path}" for path in runtime.list_cgroups()]
    return found
