"""The kubelet's log files, taken apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_operator.recording.cri import CriDecoder, chain_of

T = b"2026-03-02T10:00:01.000000001Z"


def decode(data: bytes, cut: int = 1_000_000) -> dict[str, bytes]:
    decoder, out = CriDecoder(), {"stdout": b"", "stderr": b""}
    for start in range(0, len(data), cut):
        for stream, part in decoder.feed(data[start : start + cut]).items():
            out[stream] += part
    return out


def test_the_two_streams() -> None:
    data = T + b" stdout F one\n" + T + b" stderr F oh\n" + T + b" stdout F \n"
    assert decode(data) == {"stdout": T + b" one\n" + T + b" \n", "stderr": T + b" oh\n"}


def test_parts_are_joined_though_the_other_stream_comes_between() -> None:
    data = T + b" stdout P one \n" + T + b" stderr F oh\n" + T + b" stdout P two \n" + T + b" stdout F three\n"
    assert decode(data)["stdout"] == T + b" one two three\n"


def test_stamps_in_any_zone_and_of_any_length() -> None:
    data = b"2026-03-02T18:00:01.5+08:00 stdout F a\n2026-03-02T10:00:01Z stdout F b\n"
    assert decode(data)["stdout"] == (b"2026-03-02T10:00:01.500000000Z a\n2026-03-02T10:00:01.000000000Z b\n")


def test_what_is_no_line_of_a_log_is_passed_over() -> None:
    assert decode(b"rubbish\n\nno stdout\nx stdout F y\n" + T + b" other F z\n" + T + b" stdout F ok\n") == {
        "stdout": T + b" ok\n",
        "stderr": b"",
    }


@settings(deadline=None)  # a busy machine
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.binary(max_size=9)), max_size=30), st.integers(1, 40))
def test_it_does_not_matter_where_the_bytes_are_cut(lines: list[tuple[bool, bool, bytes]], cut: int) -> None:
    data = b"".join(
        T + (b" stdout " if out else b" stderr ") + (b"F " if full else b"P ") + text.replace(b"\n", b"") + b"\n"
        for out, full, text in lines
    )
    assert decode(data, cut) == decode(data)


def test_the_files_in_the_order_in_which_they_were_written() -> None:
    names = ["0.log", "0.log.20260302-100000", "0.log.20260302-090000.gz", "0.log.20260302-100000.gz", "0.log.tmp", "x"]
    assert chain_of(names) == ["0.log.20260302-090000.gz", "0.log.20260302-100000", "0.log"]
    assert chain_of(["0.log.20260302-100000.gz", "0.log.20260302-100000.tmp"]) == ["0.log.20260302-100000.gz"]
    assert chain_of(["1.log", "0.log"]) == ["0.log", "1.log"]
