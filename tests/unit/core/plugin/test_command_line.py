"""The command line: options of kubectl's own on both sides of the command, exit codes, tables, events."""

from __future__ import annotations

import http.client
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronwright_core.plugin import rest
from cronwright_core.plugin.errors import NoRestApi, PluginError
from cronwright_core.plugin.kubectl import Kubectl
from cronwright_core.plugin.main import main
from cronwright_core.plugin.rest import RestApi, ServerEvent, connect, read_events
from cronwright_core.plugin.tables import render, span


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that writes down its arguments and refuses."""
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho "$SAID" >&2\nexit 1\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CRONWRIGHT_KUBECTL", str(program))
    monkeypatch.setenv("SAID", 'Error from server (NotFound): scheduledtasks.cronwright.dev "x" not found')
    for variable in (rest.URL_VARIABLE, rest.TOKEN_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "calls"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "team-a", "--context", "c", "pause", "x"],
        ["pause", "x", "--namespace=team-a", "--context=c"],
        ["-n", "team-a", "pause", "--context", "c", "x"],
    ],
)
def test_kubectls_options_are_passed_on(
    kubectl: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert kubectl.read_text().split() == [
        *("--namespace=team-a", "--context=c", "get", "scheduledtasks.cronwright.dev", "x", "-o", "json")
    ]
    assert capsys.readouterr().err.startswith("cronwright: error: Error from server (NotFound)")


def test_a_cluster_without_cronwright_is_named(
    kubectl: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAID", 'error: the server doesn\'t have a resource type "scheduledtasks"')
    assert main(["next", "x"]) == 1
    assert "Cronwright is not installed in this cluster" in capsys.readouterr().err


def test_what_is_written_does_not_stand_in_an_argument(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\n')
    program.chmod(0o755)
    Kubectl(str(program)).annotate({"metadata": {"name": "x", "uid": "u"}}, {"a": "secret"})
    assert "secret" not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "input").read_text() == '{"metadata": {"uid": "u", "annotations": {"a": "secret"}}}'


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trigger"],
        ["jump", "x"],
        ["history", "x", "--limit", "0"],
        ["next", "x", "--count", "101"],
        ["pause", "x", "y"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: kubectl cronwright" in capsys.readouterr().err


def test_no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CRONWRIGHT_KUBECTL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["pause", "x"]) == 1
    assert "no kubectl found" in capsys.readouterr().err


def test_the_rest_api_is_named_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (rest.URL_VARIABLE, rest.TOKEN_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    assert connect(None, None) is None
    assert isinstance(connect("http://a", "t"), RestApi)
    with pytest.raises(PluginError, match="a token without a server"):
        connect(None, "t")
    with pytest.raises(PluginError, match="--server without a token"):
        connect("http://a", None)
    with pytest.raises(PluginError, match="must begin with http"):
        connect("a:8000", "t")
    monkeypatch.setenv(rest.URL_VARIABLE, "http://a")
    assert connect(None, None) is None, "the address alone is for other programs"
    monkeypatch.setenv(rest.TOKEN_VARIABLE, "t")
    assert isinstance(connect(None, None), RestApi)


def test_events_are_read_as_they_are_written() -> None:
    lines = [
        *(
            b"retry: 2000\n",
            b"\n",
            b": heartbeat\n",
            b"\n",
            b"event: attempt\n",
            b'data: {"attempt":1}\n',
            b"id: 1-stdout-0\n",
        ),
        *(b"\n", b'data: {"content":"a"}\r\n', b"id: 1-stdout-1\n", b"\n", b'data: {"content":"cut'),
    ]
    assert list(read_events(iter(lines))) == [
        ServerEvent("attempt", {"attempt": 1}, "1-stdout-0"),
        ServerEvent("", {"content": "a"}, "1-stdout-1"),
    ]


class Stream:
    """What a server sends until the connection breaks."""

    def __init__(self, *lines: bytes, broken: bool = True) -> None:
        self._lines, self._broken = lines, broken

    def __enter__(self) -> Iterator[bytes]:
        yield from self._lines
        if self._broken:
            raise http.client.IncompleteRead(b"")

    def __exit__(self, *_: object) -> None:
        return None


def test_a_stream_that_breaks_is_taken_up_where_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        Stream(b'data: {"n":1}\n', b"id: one\n", b"\n"),
        NoRestApi("away for a moment"),
        Stream(b'data: {"n":2}\n', b"id: two\n", b"\n", b"event: end\n", b"data: {}\n", b"\n", broken=False),
    ]
    asked: list[str] = []

    def open_(_: RestApi, path: str, query: object, *, timeout: float, last_event_id: str = "") -> Stream:
        asked.append(last_event_id)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(RestApi, "_open", open_)
    events = list(RestApi("http://a", "t", pause=lambda _: None).follow("/x"))
    assert [event.data.get("n") for event in events] == [1, 2, None]
    assert asked == ["", "one", "one"]


def test_a_table_is_aligned_and_every_row_has_all_its_words() -> None:
    text = render(("A", "LONG"), [("one", ""), ("a\nb\x1b[31m", "x")])
    assert text == "A         LONG\none       -\na b [31m  x\n"
    assert render(("A",), [], headers=False) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (125, "2m5s"), (7200, "2h"), (7260, "2h1m"), (90000, "1d1h"), (-5, "0s")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text
