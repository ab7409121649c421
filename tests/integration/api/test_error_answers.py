"""Every error of a real server, the framework's own ones too, in the document's envelope and without internals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cronwright_api.settings import BASE_PATH, MAX_BODY_BYTES
from support.api_process import ApiProcess, api_environment, api_process, make_token
from support.postgres import execute, fresh_database

JSON = {"Content-Type": "application/json"}
KEY = {"Idempotency-Key": "k"}
"""The second request meets the first one's row, which is still to be completed."""
TASK = b'{"name": "abc", "project_id": 1, "schedule_type": "ONCE"}'
TABLE: dict[str, tuple[str, str, dict[str, str], bytes, int, str | None]] = {
    "no such path": ("GET", "/nothing", {}, b"", 404, None),
    "a path with a slash too many": ("GET", "/tasks/", {}, b"", 404, None),
    "a path that climbs": ("GET", "/tasks/..%2f..%2fetc", {}, b"", 404, None),
    "a method that is not there": ("PATCH", "/tasks/1", {}, b"", 405, None),
    "a method that nobody knows": ("BREW", "/tasks", {}, b"", 405, None),
    "no JSON": ("POST", "/tasks", JSON, b"{", 400, None),
    "no body": ("POST", "/tasks", JSON, b"", 400, None),
    "no object": ("POST", "/tasks", JSON, b"[]", 400, None),
    "no UTF-8": ("POST", "/tasks", JSON, b'{"name": "\xff"}', 400, None),
    "a wrong type": ("POST", "/tasks", JSON, b'{"name": 5, "project_id": 1, "schedule_type": "ONCE"}', 400, "name"),
    "a missing field": ("POST", "/tasks", JSON, b'{"project_id": 1, "schedule_type": "ONCE"}', 400, "name"),
    "another content type": ("POST", "/tasks", {"Content-Type": "text/xml"}, b"<a/>", 400, None),
    "a form": ("POST", "/tasks", {"Content-Type": "application/x-www-form-urlencoded"}, b"name=x", 400, None),
    "too large": ("POST", "/tasks", JSON, b'"' + b"x" * MAX_BODY_BYTES + b'"', 400, None),
    "a wrong path parameter": ("GET", "/tasks/abc", {}, b"", 400, "task_id"),
    "a wrong query": ("GET", "/tasks?page=0", {}, b"", 400, "page"),
    "a key that is none": ("POST", "/tasks", JSON | {"Idempotency-Key": "x" * 256}, TASK, 400, "Idempotency-Key"),
    "a tag that is none": ("PUT", "/tasks/1", JSON | {"If-Match": "abc"}, b"{}", 400, "If-Match"),
    "trigger with a wrong type": ("POST", "/tasks/1/trigger", JSON, b'{"env": 1}', 404, None),
    "no such task": ("GET", "/tasks/1", {}, b"", 404, None),
    "no such project": ("DELETE", "/projects/1", {}, b"", 404, None),
    "the API server is away": ("POST", "/projects", JSON | KEY, b'{"name": "p", "image": "busybox"}', 503, None),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiProcess, str]]:
    """A process with a database and no cluster, and an administrator's token."""
    folder = tmp_path_factory.mktemp("api")
    with fresh_database() as url:
        environment = api_environment(folder, url)
        with api_process(environment, folder / "log") as process:
            yield process, make_token(environment, "--user", "root", "--admin")


def envelope(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert set(body) == {"success", "code", "message", "errors", "timestamp"}
    assert (body["success"], body["code"]) == (False, answer.status_code)
    assert body["message"]
    datetime.fromisoformat(body["timestamp"])
    for internal in ("Traceback", "sqlalchemy", "psycopg", "KeyError", "127.0.0.1"):
        assert internal not in answer.text
    return body


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_error_is_in_the_envelope(api: tuple[ApiProcess, str], name: str, language: str) -> None:
    process, token = api
    method, path, headers, content, status, field = TABLE[name]
    sent = {"Authorization": f"Bearer {token}", "Accept-Language": language, **headers}
    answer = process.request(method, BASE_PATH + path, headers=sent, content=content)
    assert answer.status_code == status, answer.text
    body = envelope(answer)
    assert answer.headers["Content-Language"] == language
    if language == "en":
        assert body["message"].isascii()
    if field is not None:
        assert field in {error["field"] for error in body["errors"]}
    if status == 405:
        assert "GET" in answer.headers["Allow"]
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0


def test_without_a_token_nothing_is_told(api: tuple[ApiProcess, str]) -> None:
    for method, path in (("GET", "/tasks/1"), ("POST", "/tasks"), ("POST", "/projects"), ("PUT", "/projects/1")):
        answer = api[0].request(method, BASE_PATH + path, content=b"{")
        assert answer.status_code == 401
        envelope(answer)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_failure_of_ours_has_an_id_that_stands_in_the_log(tmp_path: Path) -> None:
    with fresh_database() as url:
        environment = api_environment(tmp_path, url)
        with api_process(environment, tmp_path / "log") as process:
            headers = {
                "Authorization": f"Bearer {make_token(environment, '--user', 'alice')}",
                "X-Request-ID": "find-me",
            }
            # A row that no program of ours has written: reading it fails in the middle.
            execute(
                url,
                "INSERT INTO tasks (state, cr_uid, name, owner, schedule_type, schedule_config, time_zone, is_active,"
                " timeout_seconds, max_instances, retry_count, priority, spec, created_at, updated_at) VALUES"
                " ('active', 'u', 'n', 'alice', 'CRON', '', 'UTC', true, 1, 1, 0, 0, '{}', now(), now())",
            )
            answer = process.request("GET", BASE_PATH + "/tasks/1", headers=headers)
            assert answer.status_code == 500
            assert "find-me" in envelope(answer)["message"]
            failures = [entry for entry in process.entries if "request failed" in json.dumps(entry)]
            assert [entry["request_id"] for entry in failures] == ["find-me"]
            assert process.request("GET", "/healthz").status_code == 200
