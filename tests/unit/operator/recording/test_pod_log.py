"""One Pod's output into the store: apart or merged, with gaps marked, nothing twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cronwright_core.kube.errors import KubeForbidden, KubeInvalid, KubeNotFound, KubeUnreachable
from cronwright_operator.recording.pod_log import BEGINNING, PATIENCE, ROTATED, gap_line
from cronwright_operator.recording.redaction import Redactor
from cronwright_operator.recording.sources import LogSources
from support.builders import CREATED
from support.pod_logs import Clock, Kubelet, Store, make_log, poll

ONE = b"2026-03-02T10:00:01.000000001Z one\n"
TWO = b"2026-03-02T10:00:02.000000001Z two\n"


def test_apart_where_the_cluster_offers_it() -> None:
    kubelet, store = Kubelet(stdout=ONE, stderr=TWO), Store()
    assert poll(make_log(kubelet, store), final=True)
    assert store.data == {"stdout": b"one\n", "stderr": b"two\n"}
    assert store.finished == {"stdout": None, "stderr": None}


@pytest.mark.parametrize(
    "error",
    [
        KubeInvalid(422, "Invalid", "PodLogOptions is invalid: stream: Forbidden: may not be specified"),
        KubeInvalid(
            400,
            "BadRequest",
            'unable to return the given log stream: "Stdout".'
            " Please enable PodLogsQuerySplitStreams feature gate in kubelet",
        ),
        KubeInvalid(400, "BadRequest", 'invalid stream type "Stdout"'),
    ],
)
def test_merged_where_it_does_not(error: KubeInvalid) -> None:
    kubelet, store = Kubelet(stdout=error, stderr=error, all=ONE + TWO), Store()
    sources = LogSources(kubelet)
    poll(make_log(kubelet, store, sources=sources), final=True)
    assert store.data == {"all": b"one\ntwo\n"}
    poll(make_log(kubelet, Store(), sources=sources))
    assert [stream for stream, _ in kubelet.asked] == ["Stdout", None, None, None], "it is asked only once"


def test_a_later_read_overlaps_and_stores_only_what_is_new() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = ONE + TWO
    assert poll(log)
    assert not poll(log)
    assert store.data["stdout"] == b"one\ntwo\n"
    assert kubelet.asked[-2] == ("Stdout", "2026-03-02T10:00:00Z")


def test_a_successor_goes_on_where_the_store_stands() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    poll(make_log(kubelet, store))
    kubelet.streams["stdout"] = ONE + TWO
    poll(make_log(kubelet, store))
    assert store.data["stdout"] == b"one\ntwo\n"


def test_a_position_that_moved_is_read_again() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    first, second = make_log(kubelet, store), make_log(kubelet, store)
    poll(first)
    kubelet.streams["stdout"] = ONE + TWO
    poll(second)
    with pytest.raises(KubeUnreachable):
        poll(first)
    poll(first)
    assert store.data["stdout"] == b"one\ntwo\n"


def test_a_log_that_cannot_be_read_is_a_marked_gap() -> None:
    store, error = Store(), KubeNotFound(404, "NotFound", "no pod")
    poll(make_log(Kubelet(stdout=error, stderr=error), store), final=True)
    assert set(store.finished) == {"stdout", "stderr"}
    assert all(reason and "could not be read" in reason for reason in store.finished.values())


def test_a_container_that_has_not_started_is_no_gap_while_it_may_still() -> None:
    store = Store()
    waiting = KubeInvalid(400, "BadRequest", 'container "task" in pod "p" is waiting to start: ContainerCreating')
    poll(make_log(Kubelet(stdout=waiting, stderr=waiting), store))
    assert store.finished == {}


@pytest.mark.parametrize(
    "said",
    ["is terminated", "is waiting to start: trying and failing to pull image", "is waiting to start - no logs yet"],
)
def test_a_pod_whose_name_speaks_of_streams_merges_nobodys(said: str) -> None:
    error = KubeInvalid(400, "BadRequest", f'container "task" in pod "invalid-stream-type-1" {said}')
    kubelet, store = Kubelet(stdout=error, stderr=error), Store()
    sources = LogSources(kubelet)
    poll(make_log(kubelet, store, sources=sources))
    assert (store.finished, sources.split) == ({}, None)
    poll(make_log(kubelet, store, sources=sources), final=True)
    assert sources.split is None
    assert set(store.finished) == {"stdout", "stderr"}
    assert all(reason and said in reason for reason in store.finished.values())


def test_a_sentence_of_the_kubelet_is_a_gap_and_no_line() -> None:
    store = Store()
    poll(
        make_log(Kubelet(stdout=b"unable to retrieve container logs for containerd://x", stderr=TWO), store), final=True
    )
    assert store.data == {
        "stdout": gap_line("the node no longer has the log").encode() + b"\n",
        "stderr": b"two\n",
    }
    assert store.finished["stderr"] is None
    assert "unable to retrieve" in (store.finished["stdout"] or "")


@pytest.mark.parametrize("error", [KubeUnreachable("502"), KubeForbidden(403, "Forbidden", "no right")])
def test_trouble_that_may_pass_is_waited_for_but_not_for_ever(error: Exception) -> None:
    clock, store = Clock(), Store()
    log = make_log(Kubelet(stdout=error), store, clock)
    with pytest.raises(type(error)):
        poll(log, final=True)
    clock.time += PATIENCE - timedelta(seconds=1)
    with pytest.raises(type(error)):
        poll(log, final=True)
    clock.time += timedelta(seconds=2)
    poll(log, final=True)
    assert "could not be read for" in (store.finished["stdout"] or "")


def test_what_was_stored_of_a_deleted_pod_stays_and_is_marked() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    asyncio.run(log.abandon("its Pod was deleted"))
    marker = gap_line("its Pod was deleted").encode() + b"\n"
    assert store.data == {"stdout": b"one\n" + marker, "stderr": marker}
    assert store.finished == {"stdout": "its Pod was deleted", "stderr": "its Pod was deleted"}


def test_stamps_out_of_order_lose_no_line() -> None:
    """Two streams in one file, or a clock that was set back: the order of the file counts."""
    early = b"2026-03-02T09:00:00.000000001Z clock was set back\n"
    kubelet, store = Kubelet(stdout=TWO), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = TWO + early + ONE
    poll(log, final=True)
    assert store.data["stdout"] == b"two\nclock was set back\none\n"
    assert store.finished["stdout"] is None


def test_a_rotation_between_two_reads_is_marked_in_the_text_and_in_the_answer() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = b"2026-03-02T11:00:00.000000001Z much later\n"
    assert poll(log)
    assert not poll(log)
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"one\n{gap_line(ROTATED)}\nmuch later\n"
    assert store.finished["stdout"] == ROTATED


def test_tells_of_what_was_stored_once_and_of_its_end() -> None:
    kubelet, store, heard = Kubelet(stdout=ONE), Store(), []
    log = make_log(kubelet, store, stored=heard.append)
    assert not log.finished
    poll(log)
    assert (heard, log.finished) == ([b"one\n"], False)
    kubelet.streams["stdout"] = ONE + TWO
    poll(log, final=True)
    assert (heard, log.finished) == ([b"one\n", b"two\n"], True)
    asked = len(kubelet.asked)
    poll(log, final=True)
    assert (heard, len(kubelet.asked)) == ([b"one\n", b"two\n"], asked), "what is finished is not read again"


def test_a_file_that_was_emptied_by_rotation_is_a_marked_gap() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = b""
    assert not poll(log), "nothing is known yet"
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"one\n{gap_line(ROTATED)}\n"
    assert store.finished == {"stdout": ROTATED, "stderr": None}


def test_a_successor_knows_of_a_gap_that_was_marked_before() -> None:
    kubelet, store = Kubelet(stdout=ONE), Store()
    poll(make_log(kubelet, store))
    kubelet.streams["stdout"] = b"2026-03-02T11:00:00.000000001Z much later\n"
    poll(make_log(kubelet, store))
    poll(make_log(kubelet, store), final=True)
    assert store.data["stdout"].decode() == f"one\n{gap_line(ROTATED)}\nmuch later\n"
    assert store.finished["stdout"] == ROTATED


def test_a_beginning_that_was_rotated_away_before_the_first_read_is_marked() -> None:
    """300 kB a second, first seen a minute after the container began: a file was full by then."""
    noisy = b"".join(b"2026-03-02T10:01:%02d.000000001Z %s\n" % (second, b"x" * 300_000) for second in range(10))
    store = Store()
    start = CREATED.replace(year=2026, month=3, day=2, hour=10, minute=0, second=0)
    poll(make_log(Kubelet(stdout=noisy), store, start_time=start), final=True)
    assert store.data["stdout"].startswith(gap_line(BEGINNING).encode() + b"\n")
    assert store.finished["stdout"] == BEGINNING
    late = Store()
    poll(make_log(Kubelet(stdout=ONE), late, start_time=start - timedelta(hours=1)), final=True)
    assert (late.data["stdout"], late.finished["stdout"]) == (b"one\n", None), "one that was just silent"


def test_what_is_stored_is_redacted_and_so_is_what_is_told() -> None:
    heard: list[bytes] = []
    kubelet, store = Kubelet(stdout=ONE + b"2026-03-02T10:00:02.000000001Z the hunter22 is here\n"), Store()
    poll(make_log(kubelet, store, redactor=Redactor(["hunter22"]), stored=heard.append), final=True)
    assert store.data["stdout"] == b"one\nthe [redacted] is here\n"
    assert heard == [store.data["stdout"]]


def test_a_cluster_that_changes_its_mind_merges_what_begins_afterwards() -> None:
    refusal = KubeInvalid(422, "Invalid", "stream: Forbidden: may not be specified")
    kubelet, store = Kubelet(stdout=ONE), Store()
    sources = LogSources(kubelet)
    begun = make_log(kubelet, store, sources=sources)
    poll(begun)
    kubelet.streams = {"stdout": refusal, "stderr": refusal, "all": ONE + TWO}
    later = Store()
    poll(make_log(kubelet, later, sources=sources), final=True)
    assert later.data == {"all": b"one\ntwo\n"}
    poll(begun, final=True)
    assert store.data["stdout"].startswith(b"one\n[cronwright: output may be missing here")
    assert set(store.finished) == {"stdout", "stderr"}
