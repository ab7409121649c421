"""Answers that end cleanly before the log does, after any number of bytes: nothing is lost or stored twice unmarked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest

from cronwright_core.kube.errors import KubeUnreachable
from cronwright_operator.recording.confirming import SMALL
from cronwright_operator.recording.pod_log import PATIENCE, ROTATED, gap_line
from cronwright_operator.recording.sources import LogSources
from support.pod_logs import Clock, CutKubelet, Kubelet, Store, make_log, poll


def stamped(minute: int, second: int, text: bytes, newline: bytes = b"\n") -> bytes:
    return b"2026-03-02T10:%02d:%02d.000000001Z " % (minute, second) + text + newline


OUT = [stamped(0, second, b"%d" % second) for second in (1, 2, 9)]
TORN = stamped(0, 10, b"end", b"")
ERR = stamped(0, 3, b"err")
SAID = b"1\n2\n9\n"
EVERY = range(len(b"".join(OUT) + TORN))
exhaustive = pytest.mark.hypothesis
"""Thousands of reads take seconds: they go with the tests of invariants, which are a part of their own."""


def sources_of(kubelet: Kubelet, setting: str) -> LogSources:
    sources = LogSources(kubelet, setting="merged" if setting == "merged" else "streams")
    sources.split = setting == "apart"
    return sources


async def read(cuts: Sequence[int | None], setting: str, *, stored: int = 0, tail: bytes = b"") -> Store:
    """What is stored once the log could be read; the first `stored` lines were while it ran, and whole."""
    kubelet, store = CutKubelet(stdout=b"".join(OUT[:stored])), Store()
    log = make_log(kubelet, store, sources=sources_of(kubelet, setting))
    if stored:
        await log.poll(final=False)
    kubelet.streams["stdout"] = b"".join(OUT) + tail
    kubelet.cuts = list(cuts)
    for _ in range(3):
        try:
            await log.poll(final=True)
            return store
        except KubeUnreachable:
            continue
    raise AssertionError(f"not read to its end after {cuts}")


@exhaustive
@pytest.mark.parametrize("tail", [b"", TORN])
@pytest.mark.parametrize("stored", [0, 2, 3])
@pytest.mark.parametrize("setting", ["merged", "apart"])
def test_one_answer_that_is_cut_off_anywhere(setting: str, stored: int, tail: bytes) -> None:
    async def scenario() -> None:
        stream = "all" if setting == "merged" else "stdout"
        for nth, after in itertools.product(range(4), EVERY):
            store = await read([*[None] * nth, after], setting, stored=stored, tail=tail)
            assert store.data[stream] == SAID + (b"end\n" if tail else b""), (nth, after)
            assert store.finished[stream] is None, (nth, after)

    asyncio.run(scenario())


@exhaustive
@pytest.mark.parametrize("stored", [0, 2])
@pytest.mark.parametrize("setting", ["merged", "apart"])
def test_two_answers_that_are_cut_off_at_different_places(setting: str, stored: int) -> None:
    """At the same byte nobody could tell."""

    async def scenario() -> None:
        stream = "all" if setting == "merged" else "stdout"
        for first, second in itertools.permutations(EVERY[::7], 2):
            store = await read([first, second], setting, stored=stored)
            assert (store.data[stream], store.finished[stream]) == (SAID, None), (first, second)

    asyncio.run(scenario())


@pytest.mark.parametrize("after", EVERY[::3])
def test_polls_that_are_cut_off_are_no_rotation(after: int) -> None:
    kubelet, store = CutKubelet(stdout=b"".join(OUT[:2])), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.cuts = [after, after + 1]
    poll(log)
    kubelet.streams["stdout"] = b"".join(OUT)
    poll(log)
    assert store.data["stdout"] == SAID[: len(store.data["stdout"])]
    poll(log, final=True)
    assert (store.data["stdout"], store.finished["stdout"]) == (SAID, None)


@pytest.mark.parametrize("after", range(0, len(b"".join(OUT)), 3))
def test_a_rotation_is_told_from_a_cut(after: int) -> None:
    """Wherever the first answer after it ends."""
    kubelet, store = CutKubelet(stdout=OUT[0]), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = b"".join(OUT[1:])
    kubelet.cuts = [after]
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"1\n{gap_line(ROTATED)}\n2\n9\n"
    assert store.finished["stdout"] == ROTATED


def test_a_rotated_file_whose_lines_are_all_earlier() -> None:
    """The clock was set back: no stamp tells that the stored line is gone, but the file is the same each time."""
    kubelet, store = CutKubelet(stdout=stamped(30, 0, b"1")), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = b"".join(OUT[1:])
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"1\n{gap_line(ROTATED)}\n2\n9\n"


def test_a_file_of_one_torn_line_after_a_rotation() -> None:
    kubelet, store = CutKubelet(stdout=OUT[0]), Store()
    log = make_log(kubelet, store)
    poll(log)
    kubelet.streams["stdout"] = TORN
    poll(log, final=True)
    assert store.data["stdout"].decode() == f"1\n{gap_line(ROTATED)}\nend\n"
    assert store.finished["stdout"] == ROTATED


@pytest.mark.parametrize("after", [0, 20, 50])
def test_what_is_cut_off_each_time_is_marked_in_the_end(after: int) -> None:
    """A log that ends later at each read, and never at its end."""
    clock, store = Clock(), Store()
    kubelet = CutKubelet(stdout=b"".join(OUT))
    log = make_log(kubelet, store, clock, sources=sources_of(kubelet, "merged"))
    for _ in range(2):
        kubelet.cuts = [after, after + 1] * 10
        with pytest.raises(KubeUnreachable):
            poll(log, final=True)
    clock.time += PATIENCE + timedelta(seconds=1)
    kubelet.cuts = [after, after + 1] * 10
    poll(log, final=True)
    assert store.finished["all"] is not None
    assert store.data["all"].endswith(b"]\n")


def test_a_line_without_newline_is_stored_with_the_end() -> None:
    """A successor would look for it, and could not find it."""
    kubelet, store = CutKubelet(stdout=OUT[0] + TORN), Store()
    poll(make_log(kubelet, store), final=True)
    assert store.data["stdout"] == b"1\nend\n"
    assert store.rows["stdout"].complete


@pytest.mark.parametrize(
    ("setting", "out", "err", "asked"),
    [
        ("apart", b"", b"", 2),
        ("apart", OUT[0], b"", 3),
        ("apart", OUT[0], ERR, 3),
        ("merged", b"", b"", 2),
        ("merged", OUT[0], b"", 2),
    ],
)
def test_how_often_a_short_log_is_asked_for(setting: str, out: bytes, err: bytes, asked: int) -> None:
    kubelet, store = CutKubelet(stdout=out, stderr=err), Store()
    poll(make_log(kubelet, store, sources=sources_of(kubelet, setting)), final=True)
    assert len(kubelet.asked) == asked
    assert set(store.finished) == ({"all"} if setting == "merged" else {"stdout", "stderr"})


def test_of_a_long_log_only_the_end_is_read_again() -> None:
    long = b"".join(stamped(*divmod(second, 60), b"x" * 1000) for second in range(2 * SMALL // 1000))
    kubelet, store = CutKubelet(stdout=long, stderr=ERR), Store()
    poll(make_log(kubelet, store, sources=sources_of(kubelet, "apart")), final=True)
    last = "2026-03-02T10:02:08Z"
    assert kubelet.asked == [(None, None), ("Stdout", None), ("Stderr", None), ("Stdout", last), ("Stderr", None)]
    assert store.data["stdout"].count(b"\n") == long.count(b"\n")
