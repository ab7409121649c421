"""A small client of the REST API, for the bring-up alone."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from up.commands import failure

BASE = "/api/v1/scheduler"
# Straight to the loopback address: a proxy of the environment has no business here.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """A response: its status and its JSON body (or the text where it is none)."""

    status: int
    body: Any


@dataclass(frozen=True)
class Rest:
    """Calls with one user's token."""

    url: str
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """One request below the base path; 503 is tried again for a minute. Raises ClusterError if none answers."""
        end = time.monotonic() + 60
        while True:
            try:
                answer = self._once(method, path, body)
            except OSError as error:
                answer = Answer(0, str(error))
            if answer.status not in (0, 502, 503):
                return answer
            if time.monotonic() > end:
                raise failure(f"{method} {self.url}{BASE}{path}: {answer.status or ''} {answer.body}")
            time.sleep(0.5)

    def get(self, path: str) -> Any:
        """The body of a successful GET. Raises ClusterError otherwise."""
        answer = self.call("GET", path)
        if answer.status != 200:
            raise failure(f"GET {path} answered {answer.status}: {answer.body}")
        return answer.body

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        request = urllib.request.Request(self.url + BASE + path, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept-Language", "en")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with _OPENER.open(request, data, timeout=30) as response:
                return Answer(response.status, _decode(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _decode(error.read()))


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
