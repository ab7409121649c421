"""What the document says in words - bounds, defaults, required, enums, formats, error codes - on the live server.

The figures come from the document (support.customer_document); each is tried at its edge and one beyond.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.cluster import Cluster, Rest, Space
from support.customer_document import Endpoint, Parameter, read

DOCUMENT = read()
CREATE = DOCUMENT.endpoint(1)


@pytest.fixture
def customer(cluster: Cluster, space: Space) -> Rest:
    """A user of the test's own, who owns the project `customer`."""
    owner = f"customer-{uuid.uuid4().hex[:8]}"
    space.apply_project("customer", owner=owner)
    return cluster.new_user(owner)


@pytest.fixture
def create(customer: Rest, space: Space) -> Callable[..., httpx.Response]:
    """Sends the document's request with some fields changed (`...` leaves one out); what it makes never runs."""
    project_id = space.project_id("customer")

    def send(**changes: Any) -> httpx.Response:
        body = {**(CREATE.request.body or {}), "project_id": project_id, "is_active": False}
        body |= {"name": f"任务 {uuid.uuid4().hex[:8]}", **changes}
        return customer.call("POST", "/tasks", json={key: value for key, value in body.items() if value is not ...})

    return send


def refused(answer: httpx.Response, name: str) -> list[str]:
    """Nothing, if `answer` is a 400 that names the field."""
    body = answer.json()
    fields = [error["field"] for error in body.get("errors", [])]
    if answer.status_code == body["code"] == 400 and fields == [name]:
        return []
    return [f"{name}: a 400 on it is expected, not {answer.text}"]


def accepted(answer: httpx.Response, name: str) -> list[str]:
    return [] if answer.status_code == 200 else [f"{name}: {answer.status_code} {answer.text}"]


def test_fields_of_a_new_task(create: Callable[..., httpx.Response]) -> None:
    wrong: list[str] = []
    for parameter in CREATE.parameters:
        name = parameter.name
        if parameter.required:
            wrong += refused(create(**{name: ...}), name)
        else:
            answer = create(**{name: ...})
            wrong += accepted(answer, name)
            if answer.json()["data"][name] != parameter.default:
                wrong.append(f"{name}: {answer.json()['data'][name]!r} where {parameter.default!r} is the default")
        for value in wrong_types(parameter):
            wrong += refused(create(**{name: value}), name)
        low, high = parameter.minimum_length, parameter.maximum_length
        if low is not None and high is not None:
            unique = uuid.uuid4().hex[:3]
            wrong += accepted(create(**{name: unique.ljust(low, "界")}), name)
            wrong += accepted(create(**{name: unique.ljust(high, "界")}), name)
            wrong += refused(create(**{name: "界" * (low - 1)}), name)
            wrong += refused(create(**{name: "界" * (high + 1)}), name)
        if parameter.values:
            wrong += refused(create(**{name: parameter.values[0].lower()}), name)
    assert wrong == [], "\n".join(["", *wrong])


def wrong_types(parameter: Parameter) -> list[Any]:
    """Values of another JSON type than the parameter's."""
    kinds: dict[str, list[Any]] = {
        "int": ["1", 1.5, True, None, [1]],
        "string": [3600, True, ["a"], {"a": 1}],
        "boolean": [1, "true", None],
    }
    return kinds[parameter.type]


def test_schedules(create: Callable[..., httpx.Response]) -> None:
    wrong: list[str] = []
    for line in DOCUMENT.cron_examples:
        wrong += accepted(create(schedule_type="CRON", schedule_config=line), line)
    least = DOCUMENT.minimum_interval
    for seconds in (DOCUMENT.interval_example, str(least)):
        wrong += accepted(create(schedule_type="INTERVAL", schedule_config=seconds), seconds)
    wrong += refused(create(schedule_type="INTERVAL", schedule_config=str(least - 1)), "schedule_config")
    # The document's own date has passed by now, and its form is what counts.
    wrong += refused(create(schedule_type="DATE", schedule_config=DOCUMENT.date_example), "schedule_config")
    later = "2099" + DOCUMENT.date_example[4:]
    for text in (later, later[:-1] + "+08:00"):
        wrong += accepted(create(schedule_type="DATE", schedule_config=text), text)
    # "Time zones can be set": the same wall clock in Shanghai is eight hours earlier.
    local = create(schedule_type="DATE", schedule_config=later[:-1], time_zone="Asia/Shanghai", is_active=True).json()
    if local["data"]["next_run_time"] != "2099-01-01T07:30:00Z":
        wrong.append(f"time_zone: {local['data']['next_run_time']}")
    for kind in DOCUMENT.schedule_types:
        fitting = {
            "CRON": DOCUMENT.cron_examples[0],
            "INTERVAL": DOCUMENT.interval_example,
            "DATE": later,
            "ONCE": later,
        }
        answer = create(schedule_type=kind, schedule_config=fitting[kind])
        wrong += accepted(answer, kind)
        if answer.json()["data"]["schedule_type"] != kind:
            wrong.append(f"{kind}: became {answer.json()['data']['schedule_type']}")
    assert wrong == [], "\n".join(["", *wrong])


def test_queries(create: Callable[..., httpx.Response], customer: Rest, admin: Rest) -> None:
    task_id = create().json()["data"]["id"]
    wrong: list[str] = []
    for endpoint in DOCUMENT.endpoints:
        queries = [parameter for parameter in endpoint.parameters if parameter.place == "query"]
        # An execution of this task does not exist; parameters are judged before that is looked up.
        path = endpoint.path.removeprefix(DOCUMENT.base_path).format(task_id=task_id, execution_id="exec-none")
        user = admin if endpoint.number == 15 else customer
        for parameter in queries:
            wrong += _query(user, endpoint, path, parameter)
    assert wrong == [], "\n".join(["", *wrong])


def _query(user: Rest, endpoint: Endpoint, path: str, parameter: Parameter) -> list[str]:
    name, wrong = parameter.name, []
    bad = {"int": ["x", "-1", "1.0"], "boolean": ["maybe"], "datetime": ["yesterday"], "string": ["running"]}[
        parameter.type
    ]
    good: list[str] = []
    if parameter.maximum is not None:
        good, bad = [str(parameter.maximum)], [*bad, str(parameter.maximum + 1), "0"]
    if name == "status":
        good = list(DOCUMENT.statuses)
    good += parameter.values
    if parameter.type == "datetime":
        good.append("2024-01-01T10:30:00Z")
    for value in bad:
        answer = user.call(endpoint.method, path, params={name: value})
        wrong += [f"{endpoint.number}: {line}" for line in refused(answer, name)]
    for value in good:
        answer = user.call(endpoint.method, path, params={name: value})
        if answer.status_code != (404 if "exec-none" in path else 200):
            wrong.append(f"{endpoint.number} {name}={value}: {answer.status_code} {answer.text}")
        elif name in ("page", "size") and answer.json()[name] != int(value):
            wrong.append(f"{endpoint.number} {name}={value}: {answer.json()[name]}")
    if name in ("page", "size"):
        default = user.call(endpoint.method, path).json()[name]
        if default != parameter.default:
            wrong.append(f"{endpoint.number} {name}: {default} where {parameter.default} is the default")
    return wrong


def test_each_error_code_of_the_table(
    create: Callable[..., httpx.Response], customer: Rest, bob: Rest, cluster: Cluster
) -> None:
    """400, 401, 403, 404 and 409, each in the frame of the document's example; 500 cannot be asked for."""
    task = create(name="只有一个").json()["data"]
    path = f"/tasks/{task['id']}"
    answers = {
        400: create(schedule_config="0 25 * * *"),
        401: Rest(cluster.url, "nonsense").call("GET", path),
        403: customer.call("POST", "/projects", json={"name": "another", "image": "busybox"}),
        404: bob.call("GET", path),
        409: create(name="只有一个"),
    }
    assert answers.keys() == DOCUMENT.error_codes.keys() - {500}
    for code, answer in answers.items():
        body = answer.json()
        assert (answer.status_code, body["code"], body["success"]) == (code, code, False)
        assert body.keys() == DOCUMENT.error.keys()
        assert body["message"]
    again = customer.call("POST", f"{path}/pause")
    assert (again.status_code, again.json()["code"]) == (409, 409), "pausing what is paused: a conflict of states"
    assert customer.call("GET", "/executions/exec-none").status_code == 404
