"""What holds for every request: authentication, the error envelope, languages, limits, the log."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronwright_api import json_log as api_log
from cronwright_api.keys import VerifyingKey
from cronwright_api.request_context import preferred_language
from cronwright_api.settings import BASE_PATH
from cronwright_api.tokens import User, make_token
from cronwright_core.json_log import JsonFormatter
from cronwright_core.kube.errors import KubeUnreachable
from support.api import World
from support.fake_stores import AWAY


def assert_error(response: Any, code: int) -> dict[str, Any]:
    assert response.status_code == code, response.text
    body: dict[str, Any] = response.json()
    assert set(body) == {"success", "code", "message", "errors", "timestamp"}
    assert (body["success"], body["code"]) == (False, code)
    assert body["timestamp"].endswith("Z")
    assert len(body["timestamp"]) == 20
    return body


ROUTES = [
    ("POST", "/tasks"),
    ("GET", "/tasks"),
    ("GET", "/tasks/1"),
    ("POST", "/tasks/1/trigger"),
    ("GET", "/tasks/1/executions"),
    ("GET", "/executions/e"),
    ("GET", "/executions/e/logs/file"),
    ("POST", "/projects"),
    ("GET", "/projects"),
    ("GET", "/projects/1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic YWxpY2U6", "Bearer nonsense"])
def test_without_a_token_everything_is_401(world: World, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = world.client.request(method, BASE_PATH + path + "?page=x", headers=headers, content=b"{not json")
    body = assert_error(response, 401)
    assert body["message"] == "未认证或token无效"
    problem = "不是JWT" if header == "Bearer nonsense" else "缺少请求头 Authorization: Bearer <token>"
    assert [error["field"] for error in body["errors"]] == ["Authorization"]
    assert body["errors"][0]["message"].startswith(problem)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_refused_says_what_to_do(world: World) -> None:
    (key,) = world.secrets.current()
    forged = make_token(
        VerifyingKey("k1", "HS256", b"x" * 32), User("alice"), now=datetime.now(UTC), ttl=timedelta(hours=1)
    )
    expired = make_token(key, User("alice"), now=datetime.now(UTC) - timedelta(hours=2), ttl=timedelta(hours=1))
    for token, message, problem in (
        (forged, "not authenticated, or the token is invalid", "its signature, key (kid), times or claims are not"),
        (expired, "the token has expired", "its time is over; get a new one"),
    ):
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        body = assert_error(world.client.request("GET", f"{BASE_PATH}/tasks", headers=headers), 401)
        assert body["message"] == message
        assert body["errors"][0]["field"] == "Authorization"
        assert body["errors"][0]["message"].startswith(problem)


def test_unknown_paths_and_methods(world: World) -> None:
    assert assert_error(world.call("GET", "/nothing"), 404)["message"] == "请求的接口不存在"
    assert_error(world.call("GET", "/tasks/"), 404)
    response = world.call("DELETE", "/tasks")
    assert_error(response, 405)
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[1]", "application/json"),
        (b"null", "application/json"),
        (b'"x"', "application/json"),
        (b'{"priority": NaN}', "application/json"),
        (b'{"priority": ' + b"9" * 5000 + b"}", "application/json"),
        (b"[" * 200_000, "application/json"),
        (b'{"name": "\xff\xfe"}', "application/json"),
        (b"{}", "text/plain"),
        (b"name=x", "application/x-www-form-urlencoded"),
        (b"{}", ""),
        (b'{"name": "' + b"x" * 1024 * 1024 + b'"}', "application/json"),
    ],
)
def test_bodies_that_are_no_json_object(world: World, content: bytes, content_type: str) -> None:
    assert_error(world.call("POST", "/tasks", content=content, headers={"Content-Type": content_type}), 400)


def test_a_large_body_in_chunks_is_refused_too(world: World) -> None:
    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    response = world.call("POST", "/tasks", content=chunks(), headers={"Content-Type": "application/json"})
    assert "1MB" in assert_error(response, 400)["message"]


def test_lone_surrogates_are_an_error_of_the_field(world: World) -> None:
    body = b'{"name": "abc\\ud800", "project_id": 1, "schedule_type": "ONCE"}'
    response = world.call("POST", "/tasks", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert "name" in {error["field"] for error in assert_error(response, 400)["errors"]}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b'{"name": "abc", "priority": 1, "name": "abd"}', "name", "字段重复"),
        (b'{"env": {"A": "1", "A": "2"}}', "A", "字段重复"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "?", "字段重复"),
        (b'{"description": "a\\udfff"}', "description", "不是有效的Unicode文本"),
        (b'{"env": {"\\ud800": "1"}}', "env", "不是有效的Unicode文本"),
        (b'{"unknown": [{"\\uDABC": 1}]}', "unknown", "不是有效的Unicode文本"),
    ],
)
def test_what_programs_read_in_different_ways_is_refused(world: World, body: bytes, field: str, message: str) -> None:
    response = world.call("POST", "/tasks", content=body, headers={"Content-Type": "application/json"})
    assert assert_error(response, 400)["errors"] == [{"field": field, "message": message}]


def test_a_pair_of_surrogates_is_a_character(world: World) -> None:
    body = b'{"name": "\\ud83d\\ude00 smile", "project_id": %d, "schedule_type": "ONCE"}' % world.make_project()
    response = world.call("POST", "/tasks", content=body, headers={"Content-Type": "application/json"})
    assert response.json()["data"]["name"] == "\U0001f600 smile"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("en", "en"),
        ("en-US,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.5,zh;q=0.6", "zh"),
        ("de,en;q=0.1", "en"),
        ("fr", "zh"),
        ("en;q=0", "zh"),
        ("*", "zh"),
        ("en;q=nonsense,,;", "zh"),
    ],
)
def test_language(header: str, language: str) -> None:
    assert preferred_language(header) == language


def test_english_on_request(world: World) -> None:
    english = {"Accept-Language": "en"}
    response = world.call("GET", "/tasks/5", headers=english)
    assert assert_error(response, 404)["message"] == "there is no such task"
    assert response.headers["Content-Language"] == "en"
    body = {"name": "x", "schedule_type": "CRON", "schedule_config": "0 25 * * *", "project_id": 1}
    wrong = assert_error(world.call("POST", "/tasks", json=body, headers=english), 400)
    assert all(error["message"].isascii() for error in wrong["errors"])


def test_with_the_database_away(world: World) -> None:
    world.switch.error = AWAY
    for method, path in ROUTES:
        body = {"name": "abc", "image": "x", "schedule_type": "ONCE", "project_id": 1}
        response = world.call(method, path, admin=True, json=body)
        assert assert_error(response, 503)["message"] == "数据库暂时不可用，请稍后重试"
    assert world.client.request("GET", "/healthz").status_code == 200
    ready = world.client.request("GET", "/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "the database is not available")


def test_ready(world: World) -> None:
    ready = world.client.request("GET", "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok", "jwt_keys": "ok"})


def test_reads_never_touch_the_api_server(world: World) -> None:
    task = world.make_task()
    before = list(world.objects.calls)
    world.objects.fail_next = KubeUnreachable("away")
    for path in ("/tasks", f"/tasks/{task['id']}", f"/tasks/{task['id']}/executions", "/projects"):
        assert world.call("GET", path).status_code == 200
    assert world.objects.calls == before


def test_a_bug_is_a_500_with_an_id_that_the_log_knows(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.switch.error = RuntimeError("secret detail: password=hunter2")
    with caplog.at_level(logging.INFO):
        response = world.call("GET", "/tasks")
    body = assert_error(response, 500)
    assert "hunter2" not in response.text
    assert response.headers["X-Request-ID"] in body["message"]
    assert any(record.exc_info for record in caplog.records)


def test_the_request_id_of_a_caller_is_kept_if_it_is_harmless(world: World) -> None:
    assert world.call("GET", "/tasks", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert world.call("GET", "/tasks", headers={"X-Request-ID": 'a"b'}).headers["X-Request-ID"] != 'a"b'


def test_the_access_log_names_the_user_and_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    class Sink(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonFormatter(api_log.request_members).format(record))

    sink = Sink()
    logging.getLogger("cronwright_api").addHandler(sink)
    try:
        with caplog.at_level(logging.INFO, logger="cronwright_api"):
            world.call("GET", "/tasks?status=SUCCESS&api_key=hunter2")
    finally:
        logging.getLogger("cronwright_api").removeHandler(sink)
    entry = json.loads(lines[-1])
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", f"{BASE_PATH}/tasks", 200)
    assert entry["user"] == "alice"
    assert entry["request_id"]
    assert entry["duration_ms"] >= 0
    assert "hunter2" not in lines[-1]
    assert world.token() not in lines[-1]
