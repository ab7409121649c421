"""Storage without a provisioner: a default StorageClass and a few PersistentVolumes on folders of this machine.

They are of type `local`, not `hostPath`, since only for the former the kubelet applies a Pod's fsGroup.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from cluster.apiserver import ApiServer
from cluster.settings import CLUSTER_NAME, STORAGE_CLASS, VOLUME_COUNT, Layout

VOLUMES_PATH = "/api/v1/persistentvolumes"


def build_storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
    }


def build_volume(name: str, folder: Path) -> dict[str, Any]:
    """A volume on a folder of this node; the size is what claims may ask for, not a limit."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [CLUSTER_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "cronwright-dev"}},
        "spec": {
            "capacity": {"storage": "50Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def volume_folders(layout: Layout) -> dict[str, Path]:
    """The volumes' names and folders."""
    return {f"local-{number}": layout.volumes / f"local-{number}" for number in range(1, VOLUME_COUNT + 1)}


def ensure_storage(layout: Layout, server: ApiServer) -> None:
    """Makes class, folders and volumes as far as they are missing, and offers released volumes again."""
    server.apply("/apis/storage.k8s.io/v1/storageclasses", build_storage_class())
    for name, folder in volume_folders(layout).items():
        make_folder(folder)
        server.apply(VOLUMES_PATH, build_volume(name, folder))
    recycle_volumes(layout, server)


def recycle_volumes(layout: Layout, server: ApiServer) -> list[str]:
    """Empties the volumes whose claim was deleted and makes them available again; answers their names.

    A volume whose claim still exists is never touched.
    """
    recycled = []
    for volume in server.get(VOLUMES_PATH).get("items", []):
        name = volume["metadata"]["name"]
        folder = volume_folders(layout).get(name)
        if folder is None or not is_released(volume):
            continue
        empty_folder(folder)
        # The resource version guards against a claim that was bound to it meanwhile.
        version = volume["metadata"]["resourceVersion"]
        server.merge(f"{VOLUMES_PATH}/{name}", {"metadata": {"resourceVersion": version}, "spec": {"claimRef": None}})
        recycled.append(name)
    return recycled


def is_released(volume: dict[str, Any]) -> bool:
    """Whether a PersistentVolume has lost its claim and waits for somebody to clean it."""
    return volume.get("status", {}).get("phase") in ("Released", "Failed") and "claimRef" in volume["spec"]


def make_folder(folder: Path) -> None:
    """Makes the folder of a volume; any user may write there, as Pods without fsGroup run under all sorts of ids."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o777)


def empty_folder(folder: Path) -> None:
    """Removes everything in a volume's folder and gives it back its first owner and mode (an fsGroup had changed
    them).
    """
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    make_folder(folder)
    os.chown(folder, 0, 0)
    folder.chmod(0o777)
