"""How stored bytes are shown, and what readers find of a stream whose middle was left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cronwright_core.store.log_text import chunks_of, cut_marker, decode_line, last_pieces, pieces_of, stored_lines


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain ünï 中文 😀".encode(), "plain ünï 中文 😀"),
        ("数据处理进度: 50%".encode("gb18030"), "数据处理进度: 50%"),
        ("𠀀 €".encode("gb18030"), "𠀀 €"),
        (b"crlf\r", "crlf"),
        (b"a\rb", "a\rb"),
        (b"nul\x00inside", "nul\ufffdinside"),
        (b"\xff\xfe binary", "\ufffd\ufffd binary"),
        (b"caf\xe9", "caf\ufffd"),
        # GB18030 has a meaning for these too, but none that a text has.
        (b"\x810\x810", "\ufffd0\ufffd0"),
        (b"\xfe\x59", "\ufffdY"),
        (b"", ""),
        (b"x" * 1_000_000, "x" * 1_000_000),
    ],
)
def test_bytes_are_shown(line: bytes, shown: str) -> None:
    assert decode_line(line) == shown


def row(lines: int, cut_from: int | None = None, cut_lines: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        attempt=1, stream="stdout", lines=lines, cut_from=cut_from, cut_lines=cut_lines, cut_bytes=10 * cut_lines
    )


def ranges(pieces: list) -> list:
    return [piece.marker or (piece.first, piece.end) for piece in pieces]


def test_a_whole_stream_is_one_piece() -> None:
    assert ranges(pieces_of(row(5))) == [(0, 5)]
    assert stored_lines(row(5)) == 5


def test_a_cut_one_has_a_line_in_the_place() -> None:
    cut = row(100, 10, 60)
    assert ranges(pieces_of(cut)) == [(0, 10), cut_marker(60, 600), (70, 100)]
    assert stored_lines(cut) == 41


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (0, []),
        (5, [(95, 100)]),
        (30, [(70, 100)]),
        (31, [cut_marker(60, 600), (70, 100)]),
        (33, [(8, 10), cut_marker(60, 600), (70, 100)]),
        (999, [(0, 10), cut_marker(60, 600), (70, 100)]),
    ],
)
def test_the_last_lines(count: int, wanted: list) -> None:
    assert ranges(last_pieces(pieces_of(row(100, 10, 60)), count)) == wanted


def test_chunks_end_with_a_line() -> None:
    data = b"a" * 30 + b"\n" + b"b\n" * 12
    chunks = list(chunks_of(data, 7, 10))
    assert b"".join(part for _, _, part in chunks) == data
    assert [(first, count) for first, count, _ in chunks] == [(7, 1), (8, 5), (13, 5), (18, 2)]
