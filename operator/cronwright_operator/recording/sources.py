"""Where output is read from: the Pod log call with `?stream=`, the kubelet's log files, or both streams in one."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Literal

from cronwright_core.kube.errors import KubeInvalid
from cronwright_core.kube.kubelet_logs import NodeLogFiles
from cronwright_core.kube.ports import LogClient
from cronwright_core.store.records.logs import Stream

logger = logging.getLogger(__name__)

Source = Literal["streams", "files", "merged"]
Setting = Literal["auto", "streams", "files", "merged"]

STREAMS_OF: dict[Source, tuple[Stream, ...]] = {
    "streams": ("stdout", "stderr"),
    "files": ("stdout", "stderr"),
    "merged": ("all",),
}

_REFUSALS = (
    "stream: Forbidden",  # ValidatePodLogOptions in pkg/apis/core/validation
    "invalid stream type",  # getContainerLogs in pkg/kubelet/server, as the next
    "PodLogsQuerySplitStreams",
)
"""What Kubernetes says where it cannot split. Other refusals name the Pod, whose name may speak of streams, but has no
blanks and no capital letters."""


class LogSources:
    """What this cluster offers: found out once, and again when it changes its mind.

    `split`: whether it tells stdout and stderr apart (feature gate PodLogsQuerySplitStreams); None: not tried yet.
    """

    def __init__(self, client: LogClient, files: NodeLogFiles | None = None, *, setting: Setting = "auto") -> None:
        """`files` None: the operator has no right to the kubelets' log files. `setting` is tried first."""
        self.client = client
        self.files = files
        self.setting = setting
        self.split: bool | None = None

    def source_for(self, stored: Collection[Stream], *, files: bool = True) -> Source:
        """Where to read a Pod's output of which these streams have lines already. `files` False: its node does not
        answer."""
        files = files and self.files is not None
        # A stream that was stored before the cluster changed its mind goes on under its own name.
        if "all" in stored or (self.setting == "merged" and not stored):
            return "merged"
        if self.setting == "files" and files:
            return "files"
        if self.split is not False:
            return "streams"
        if files:
            return "files"
        return "streams" if stored else "merged"

    def refused(self, error: KubeInvalid) -> bool:
        """Whether the error says that the cluster cannot split; remembers it. The API server answers 422, a kubelet
        400."""
        if not any(text in error.message for text in _REFUSALS):
            return False
        if self.split is not False:
            way = "the kubelets' log files are read" if self.files is not None else "both are output"
            logger.warning(
                "this cluster cannot tell stdout and stderr apart (PodLogsQuerySplitStreams is off); %s", way
            )
        self.split = False
        return True
