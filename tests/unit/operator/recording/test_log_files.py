"""A Pod's output from its node's log files, over rotations, restarts and files that vanish."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from cronwright_core.kube.errors import KubeForbidden, KubeNotFound, KubeRejected, KubeUnreachable
from cronwright_operator.recording.pod_log import ROTATED, PodLog, gap_line
from cronwright_operator.recording.sources import LogSources, Setting
from support.pod_logs import Kubelet, Store, make_log, poll

FOLDER = "ns_pod_u1/task"


def stamp(second: int) -> bytes:
    return b"2026-03-02T10:%02d:%02d.000000001Z" % divmod(second, 60)


def cri(*numbers: int, stream: bytes = b"stdout") -> bytes:
    return b"".join(stamp(number) + b" %s F line %d\n" % (stream, number) for number in numbers)


def text(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


class Node:
    """A folder of log files, and what happens to it between two requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"0.log": b""}
        self.read: list[tuple[str, int]] = []
        self.before_list: list[object] = []
        self.error: Exception | None = None

    async def log_names(self, host: str, folder: str) -> list[str]:
        assert (host, folder) == ("10.0.0.1", FOLDER)
        if self.error is not None:
            raise self.error
        if self.before_list and callable(happens := self.before_list.pop(0)):
            happens()
        return list(self.files)

    async def read_log_file(self, host: str, path: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        name = path.removeprefix(FOLDER + "/")
        self.read.append((name, offset))
        if name not in self.files:
            raise KubeNotFound(404, "Kubelet", "not found")
        data = self.files[name]
        if offset and offset >= len(data):
            raise KubeRejected(416, "Kubelet", "invalid range")
        for start in range(offset, len(data), 50):
            yield data[start : start + 50]

    def write(self, data: bytes) -> None:
        self.files["0.log"] += data

    def rotate(self, at: str) -> None:
        for name in [name for name in self.files if name != "0.log" and not name.endswith(".gz")]:
            self.files[name + ".gz"] = gzip.compress(self.files.pop(name))
        self.files["0.log." + at] = self.files.pop("0.log")
        self.files["0.log"] = b""


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def store() -> Store:
    return Store()


def log_of(node: Node, store: Store, kubelet: Kubelet | None = None) -> PodLog:
    sources = LogSources(kubelet or Kubelet(), node, setting="files")  # type: ignore[arg-type]
    return make_log(Kubelet(), store, sources=sources, pod_uid="u1", host="10.0.0.1")


def test_both_streams_and_each_line_once(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1, 2) + cri(3, stream=b"stderr"))
    assert poll(log)
    assert not poll(log)
    node.write(cri(4) + stamp(5) + b" stdout F half")
    assert poll(log)
    node.write(b" and half\n")
    poll(log, final=True)
    assert store.data == {"stdout": text(1, 2, 4) + b"half and half\n", "stderr": text(3)}
    assert store.finished == {"stdout": None, "stderr": None}
    assert all(offset > 0 for _, offset in node.read[1:]), "a poll costs what is new"


def test_over_two_rotations_between_two_polls(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1, 2))
    poll(log)
    node.write(cri(3))
    node.rotate("20260302-100000")
    node.write(cri(4))
    node.rotate("20260302-110000")
    node.write(cri(5))
    poll(log)
    node.write(cri(6))
    poll(log, final=True)
    assert store.data == {"stdout": text(1, 2, 3, 4, 5, 6)}
    assert store.finished == {"stdout": None, "stderr": None}


def test_a_successor_finds_its_place_in_the_rotated_files(node: Node, store: Store) -> None:
    node.write(cri(1, 2))
    poll(log_of(node, store))
    for number, at in ((3, "20260302-100000"), (4, "20260302-110000")):
        node.write(cri(number))
        node.rotate(at)
    poll(log_of(node, store), final=True)
    assert store.data == {"stdout": text(1, 2, 3, 4)}
    assert store.finished["stdout"] is None


def test_a_rotation_while_it_is_reading(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1))

    def rotates() -> None:
        node.write(cri(2))
        node.rotate("20260302-100000")
        node.write(cri(3))

    node.before_list = [None, rotates]
    poll(log)
    poll(log, final=True)
    assert store.data == {"stdout": text(1, 2, 3)}


def test_an_empty_new_file_hides_no_later_one(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1))
    node.rotate("20260302-100000")
    poll(log)
    node.write(cri(2))
    node.rotate("20260302-110000")
    node.write(cri(3))
    poll(log, final=True)
    assert store.data == {"stdout": text(1, 2, 3)}


def test_a_part_that_goes_on_in_the_next_file(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(stamp(1) + b" stdout P one \n")
    poll(log)
    node.rotate("20260302-100000")
    node.write(stamp(1) + b" stdout F line\n")
    poll(log)
    assert store.data == {"stdout": b"one line\n"}


def test_files_that_are_gone_are_a_marked_gap(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1))
    poll(log)
    node.files = {"0.log.20260302-110000": cri(5), "0.log": cri(6)}
    with pytest.raises(KubeUnreachable):
        poll(log)
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"line 1\n{gap_line(ROTATED)}\nline 5\nline 6\n"
    assert store.finished == {"stdout": ROTATED, "stderr": None}


def test_a_folder_that_is_gone_is_marked(node: Node, store: Store) -> None:
    log = log_of(node, store)
    node.write(cri(1))
    poll(log)
    node.files = {}
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"line 1\n{gap_line('the node no longer has the log')}\n"
    assert None not in store.finished.values()


@pytest.mark.parametrize("setting", ["streams", "files"])
def test_what_a_deleted_pod_left_on_its_node_is_still_read(node: Node, store: Store, setting: Setting) -> None:
    sources = LogSources(Kubelet(stdout=stamp(1) + b" line 1\n"), node, setting=setting)  # type: ignore[arg-type]
    log = make_log(Kubelet(), store, sources=sources, pod_uid="u1", host="10.0.0.1")
    node.write(cri(1))
    poll(log)
    node.write(cri(2))
    asyncio.run(log.abandon("its Pod was deleted"))
    # Nobody knows whether the container has printed more since.
    marker = gap_line("its Pod was deleted").encode() + b"\n"
    assert (store.data["stdout"], store.finished["stdout"]) == (text(1, 2) + marker, "its Pod was deleted")


@pytest.mark.parametrize(
    "error",
    [
        KubeForbidden(403, "Kubelet", "no right to nodes/log"),
        KubeRejected(405, "Kubelet", "logs endpoint is disabled"),
        KubeUnreachable("no answer"),
    ],
)
def test_a_kubelet_that_does_not_answer_leaves_both_streams_in_one(node: Node, store: Store, error: Exception) -> None:
    node.error = error
    kubelet = Kubelet(all=stamp(1) + b" line 1\n")
    sources = LogSources(kubelet, node, setting="files")  # type: ignore[arg-type]
    sources.split = False
    log = make_log(kubelet, store, sources=sources, pod_uid="u1", host="10.0.0.1")
    for _ in range(3):
        with pytest.raises((KubeForbidden, KubeUnreachable)):
            poll(log)
    poll(log)
    assert store.data == {"all": text(1)}


def test_a_kubelet_that_shows_no_files_leaves_both_streams_in_one(node: Node, store: Store) -> None:
    node.error = KubeNotFound(404, "Kubelet", "404 page not found")
    sources = LogSources(Kubelet(all=stamp(1) + b" line 1\n"), node, setting="files")  # type: ignore[arg-type]
    sources.split = False
    log = make_log(Kubelet(), store, sources=sources, pod_uid="u1", host="10.0.0.1")
    assert not poll(log)
    poll(log, final=True)
    assert (store.data, store.finished) == ({"all": text(1)}, {"all": None})


def test_auto_takes_the_files_only_where_the_cluster_does_not_split(node: Node) -> None:
    sources = LogSources(Kubelet(), node)  # type: ignore[arg-type]
    assert sources.source_for(()) == "streams"
    sources.split = False
    assert sources.source_for(()) == "files"
    assert sources.source_for((), files=False) == "merged"
    assert sources.source_for(("all",)) == "merged"
    assert sources.source_for(("stdout",), files=False) == "streams"
    assert LogSources(Kubelet(), node, setting="merged").source_for(()) == "merged"  # type: ignore[arg-type]
