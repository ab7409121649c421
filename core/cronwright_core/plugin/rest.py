"""The REST API, as far as the plugin reads it: history and output. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cronwright_core.plugin.errors import NoRestApi, NotThere, PluginError

BASE = "/api/v1/scheduler"
URL_VARIABLE, TOKEN_VARIABLE = "CRONWRIGHT_URL", "CRONWRIGHT_TOKEN"
_SECONDS = 30
_SILENCE_SECONDS = 60
"""A stream says something every 15 seconds; one that does not is dead."""
_RECONNECTS = 10
_PAUSE_SECONDS = 2.0
_AWAY = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event; `name` is empty for a line of output."""

    name: str
    data: dict[str, Any]
    id: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class RestApi:
    """Calls with one user's token. `open` is urllib's; `pause` sleeps."""

    def __init__(self, url: str, token: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._url = url.rstrip("/") + BASE
        self._token = token
        self._pause = pause
        self._opener = urllib.request.build_opener(_NoRedirect())

    def get(self, path: str, **query: str | int | None) -> Any:
        """The body of an answer.

        Raises:
            NoRestApi: it cannot be reached, or cannot read its database now.
            PluginError: it refused; the text is its own.
        """
        with self._open(path, query, timeout=_SECONDS) as answer:
            try:
                return json.load(answer)
            except (ValueError, OSError, http.client.HTTPException) as error:
                raise NoRestApi(f"{self._url}: the answer is not what the REST API says") from error

    def follow(self, path: str, **query: str | int | None) -> Iterator[ServerEvent]:
        """The events of a stream until its `end`; a stream that breaks is taken up where it broke.

        Raises:
            NoRestApi, PluginError: as `get`; also when it broke ten times in a row.
        """
        last, broken = "", 0
        while True:
            try:
                with self._open(path, query, timeout=_SILENCE_SECONDS, last_event_id=last) as answer:
                    for event in read_events(answer):
                        last, broken = event.id or last, 0
                        yield event
                        if event.name == "end":
                            return
            except (OSError, http.client.HTTPException) as error:
                reason: object = error
            except NoRestApi as error:
                if not last:
                    raise
                reason = error
            else:
                reason = "the stream ended early"
            broken += 1
            if broken >= _RECONNECTS:
                raise NoRestApi(f"{self._url}{path}: {reason}")
            self._pause(_PAUSE_SECONDS)

    def _open(
        self, path: str, query: dict[str, str | int | None], *, timeout: float, last_event_id: str = ""
    ) -> http.client.HTTPResponse:
        given = {key: value for key, value in query.items() if value is not None}
        request = urllib.request.Request(self._url + path + ("?" + urllib.parse.urlencode(given) if given else ""))  # noqa: S310
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Accept-Language", "en")
        if last_event_id:
            request.add_header("Last-Event-ID", last_event_id)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=timeout)
            return answer
        except urllib.error.HTTPError as error:
            with error:
                said = _message(error.read(64 * 1024))
            if error.code in _AWAY:
                raise NoRestApi(f"the REST API answered {error.code}: {said}") from None
            kind = NotThere if error.code == 404 else PluginError
            raise kind(f"the REST API answered {error.code}: {said}") from None
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            # The reason holds the address at most, never a header.
            raise NoRestApi(f"{self._url}: {getattr(error, 'reason', error)}") from None


NOT_NAMED = f"no REST API is named ({URL_VARIABLE} and {TOKEN_VARIABLE}, or --server and --token)"


def connect(server: str | None, token: str | None) -> RestApi | None:
    """The REST API of --server and --token, or of the environment; None if neither names one.

    Raises:
        PluginError: only one of the two is there, or the address is none.
    """
    url = server or os.environ.get(URL_VARIABLE)
    secret = token or os.environ.get(TOKEN_VARIABLE)
    if not url and not secret:
        return None
    if not url:
        raise PluginError(f"a token without a server: give --server or {URL_VARIABLE}, such as http://127.0.0.1:8000")
    if not secret:
        if server is None:
            return None  # the address alone may be in the environment for other programs
        raise PluginError(f"--server without a token: give {TOKEN_VARIABLE} (or --token, which others can read in ps)")
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise PluginError(f"the server {url}: must begin with http:// or https://")
    return RestApi(url, secret)


def read_events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[ServerEvent]:
    """Server-sent events (WHATWG HTML, "Server-sent events") from the lines of a body."""
    name, data, id_ = "", "", ""
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line:
            if data:
                yield ServerEvent(name, json.loads(data), id_)
            name, data = "", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif field == "id":
            id_ = value


def _message(body: bytes) -> str:
    try:
        found = json.loads(body)
        errors = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in found.get("errors") or ())
        return f"{found['message']}" + (f" ({errors})" if errors else "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode(errors="replace").strip()[:200] or "no message"
