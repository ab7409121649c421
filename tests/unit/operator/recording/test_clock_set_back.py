"""A node's clock that is set back while a Pod prints: `sinceTime` then leaves out what is new."""

from __future__ import annotations

import pytest

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_operator.recording.pod_log import SET_BACK, PodLog, gap_line
from cronwright_operator.recording.sources import LogSources
from support.pod_logs import CutKubelet, Store, make_log, poll


def line(second: int, text: str) -> bytes:
    return f"2026-03-02T10:{second // 60:02d}:{second % 60:02d}.000000001Z {text}\n".encode()


BEFORE = line(100, "before")
BEHIND = b"".join(line(second, f"behind {second}") for second in range(40, 97))
SAID_BEHIND = b"".join(b"behind %d\n" % second for second in range(40, 97))
CAUGHT_UP = line(99, "caught up")
MARK = gap_line(SET_BACK).encode() + b"\n"


def log_of(kubelet: CutKubelet, store: Store) -> PodLog:
    return make_log(kubelet, store, sources=LogSources(kubelet, setting="merged"))


def grow(kubelet: CutKubelet, data: bytes) -> None:
    kubelet.streams["all"] = bytes(kubelet.streams["all"]) + data  # type: ignore[arg-type]


def poll_through(kubelet: CutKubelet, store: Store) -> PodLog:
    """A poll before the clock is set back, one while it is behind, and one when it has caught up."""
    log = log_of(kubelet, store)
    for data in (BEFORE, BEHIND, CAUGHT_UP):
        grow(kubelet, data)
        poll(log)
    return log


@pytest.mark.parametrize("tail", [b"", line(102, "after")])
def test_what_was_left_out_is_marked_once(tail: bytes) -> None:
    kubelet, store = CutKubelet(all=b""), Store()
    log = poll_through(kubelet, store)
    assert store.data["all"] == b"before\ncaught up\n"
    grow(kubelet, tail)
    poll(log, final=True)
    assert store.data["all"] == b"before\ncaught up\n" + (b"after\n" if tail else b"") + MARK
    assert store.finished["all"] == SET_BACK


def test_a_successor_marks_it_too_and_before_a_line_without_newline() -> None:
    kubelet, store = CutKubelet(all=b""), Store()
    poll_through(kubelet, store)
    grow(kubelet, line(102, "after").removesuffix(b"\n"))
    kubelet.cuts = [0, 1] * 5
    with pytest.raises(KubeUnreachable):
        poll(log_of(kubelet, store), final=True)
    kubelet.cuts = []
    poll(log_of(kubelet, store), final=True)
    assert store.data["all"] == b"before\ncaught up\n" + MARK + b"after\n"
    assert store.finished["all"] == SET_BACK


def test_nothing_is_missing_if_it_has_not_caught_up() -> None:
    kubelet, store = CutKubelet(all=BEFORE), Store()
    log = log_of(kubelet, store)
    poll(log)
    grow(kubelet, BEHIND)
    poll(log)
    poll(log, final=True)
    assert store.data["all"] == b"before\n" + SAID_BEHIND
    assert store.finished["all"] is None


def test_a_rotated_file_is_no_set_back_clock() -> None:
    kubelet, store = CutKubelet(all=BEHIND + BEFORE), Store()
    log = log_of(kubelet, store)
    poll(log)
    kubelet.streams["all"] = BEFORE + line(101, "after")
    poll(log, final=True)
    assert store.data["all"] == SAID_BEHIND + b"before\nafter\n"
    assert store.finished["all"] is None
