"""Overlapping reads of a log give every line once, wherever the bytes are cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cronwright_operator.recording.lines import LineSplitter, Position


def stamp(tick: int) -> str:
    return f"2026-03-02T10:{tick // 60:02d}:{tick % 60:02d}.{tick * 1000 % 1_000_000_000:09d}Z"


def read(data: bytes, position: Position, *, cut: int = 7, final: bool = True) -> tuple[bytes, Position]:
    splitter = LineSplitter(position, portion=10)
    out = b""
    for start in range(0, len(data), cut):
        portion = splitter.feed(data[start : start + cut])
        if portion is not None:
            out, position = out + portion.data, portion.position
    rest = splitter.end(final=final)
    if rest is not None:
        out, position = out + rest.data, rest.position
    return out, position


def test_first_read_takes_all() -> None:
    data = f"{stamp(1)} one\n{stamp(2)} two\n".encode()
    assert read(data, Position()) == (b"one\ntwo\n", Position(2, stamp(2), 1))


def test_second_read_takes_only_what_is_new() -> None:
    data = f"{stamp(1)} one\n{stamp(2)} two\n{stamp(2)} three\n".encode()
    assert read(data, Position(2, stamp(2), 1)) == (b"three\n", Position(3, stamp(2), 2))


def test_nothing_new() -> None:
    data = f"{stamp(1)} one\n{stamp(2)} two\n".encode()
    assert read(data, Position(2, stamp(2), 1)) == (b"", Position(2, stamp(2), 1))


def test_a_last_line_without_newline_waits_for_the_end() -> None:
    data = f"{stamp(1)} one\n{stamp(2)} tw".encode()
    assert read(data, Position(), final=False)[0] == b"one\n"
    assert read(data, Position(), final=True)[0] == b"one\ntw\n"


def test_blank_and_binary_lines_stay() -> None:
    data = f"{stamp(1)} \n{stamp(2)} ".encode() + b"\xff\x00\r\n"
    assert read(data, Position())[0] == b"\n\xff\x00\r\n"


def test_a_line_without_stamp_follows_the_one_before() -> None:
    data = f"{stamp(1)} begin\nrest of it\n".encode()
    assert read(data, Position()) == (b"begin\nrest of it\n", Position(2, stamp(1), 2))


def test_a_sentence_instead_of_a_log_is_no_line() -> None:
    splitter = LineSplitter(Position())
    splitter.feed(b"unable to retrieve container logs for containerd://abc")
    assert splitter.end(final=True) is None
    assert splitter.complaint == "unable to retrieve container logs for containerd://abc"


def test_a_node_in_another_zone() -> None:
    data = b"2026-03-02T18:00:01.000000005+08:00 hello\n"
    assert read(data, Position()) == (b"hello\n", Position(1, "2026-03-02T10:00:01.000000005Z", 1))


def test_since_time_overlaps() -> None:
    assert Position(1, "2026-03-02T10:00:01.900000000Z", 1).since_time() == "2026-03-02T09:59:59Z"
    assert Position().since_time() is None


@settings(deadline=None)  # a busy machine
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=12)), max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
    st.integers(1, 30),
)
def test_every_line_once_however_the_reads_overlap(steps: list[tuple[int, bytes]], stops: list[int], cut: int) -> None:
    tick, lines = 0, []
    for step, raw in steps:
        tick += step
        lines.append((stamp(tick), raw.replace(b"\n", b"")))
    position, stored = Position(), b""
    for stop in [*sorted(stops), len(lines)]:
        # Each read begins anywhere at or before the last stored stamp, as `sinceTime` in whole seconds does.
        data = b"".join(s.encode() + b" " + text + b"\n" for s, text in lines[:stop])
        new, position = read(data, position, cut=cut)
        stored += new
    assert stored == b"".join(text + b"\n" for _, text in lines)
    assert position.lines == len(lines)


def test_a_line_of_many_parts_that_the_other_stream_interrupted() -> None:
    """The kubelet puts a stamp between two parts; a word on the border of both stays whole."""
    first, second = b"a" * (16 * 1024 - 3) + b"sec", b"ret" + b"b" * 100
    data = f"{stamp(1)} ".encode() + first + f"{stamp(2)} ".encode() + second + b"\n"
    assert read(data, Position(), cut=5000)[0] == first + second + b"\n"


def test_a_line_that_is_too_long_is_stored_in_pieces_the_same_however_it_is_read() -> None:
    text = bytes(range(32, 127)) * 40
    data = f"{stamp(1)} short\n{stamp(2)} ".encode() + text + f"\n{stamp(3)} behind\n".encode()

    def pieces(position: Position, cut: int) -> tuple[list[bytes], Position]:
        splitter = LineSplitter(position, max_line=1000, look_ahead=100)
        portions = [splitter.feed(data[at : at + cut]) for at in range(0, len(data), cut)]
        assert not any(portions)
        rest = splitter.end(final=True)
        return (rest.data.split(b"\n")[:-1], rest.position) if rest else ([], position)

    whole, end = pieces(Position(), len(data))
    assert b"".join(whole) == b"short" + text + b"behind"
    assert max(map(len, whole)) == 1000
    for cut in (7, 333, 1200, 2500):
        assert pieces(Position(), cut) == (whole, end)
        # A successor that stopped behind the second piece goes on with the third.
        assert pieces(Position(3, stamp(2), 2), cut)[0] == whole[3:]


def test_a_complaint_of_megabytes_is_cut() -> None:
    splitter = LineSplitter(Position())
    splitter.feed(b"x" * 1000)
    assert splitter.end(final=True) is None
    assert splitter.complaint == "x" * 200


def test_first_lines_that_came_within_a_long_line_of_the_other_stream() -> None:
    """They have no stamps, and are found again by their place: each once, wherever a read before had stopped."""
    data = f"one\ntwo\n{stamp(3)} three\n".encode()
    assert read(data, Position()) == (b"one\ntwo\nthree\n", Position(3, stamp(3), 1))
    for stop, rest in ((4, b"two\nthree\n"), (8, b"three\n"), (len(data), b"")):
        _, position = read(data[:stop], Position(), final=False)
        assert (position.since_time() is None) == (stop < len(data))
        assert read(data, position)[0] == rest


def test_a_first_line_of_megabytes_without_a_stamp() -> None:
    splitter = LineSplitter(Position(), max_line=1000, look_ahead=100)
    for _ in range(10):
        splitter.feed(b"x" * 1000)
    splitter.feed(b"\n")
    lines = splitter.end(final=True)
    assert lines is not None
    assert lines.data.replace(b"\n", b"") == b"x" * 10_000
    assert splitter.complaint is None
