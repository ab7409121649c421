"""Requests made from the OpenAPI document by schemathesis: every operation, good and bad input, a real PostgreSQL.

No answer is a 5xx, each is one that the document describes, none takes long, and afterwards there is no half a task.
The examples are the same at each run; CRONWRIGHT_SCHEMA_EXAMPLES makes more of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cronwright_api.app import create_app
from cronwright_core.store.session import Database
from support.api import make_settings
from support.postgres import fresh_database
from support.real_api import assert_whole, serving
from support.real_world import RealWorld, make_world

EXAMPLES = int(os.environ.get("CRONWRIGHT_SCHEMA_EXAMPLES", "10"))
DEADLINE_SECONDS = 10
NUMBERS = itertools.count(1)
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = create_app(make_settings()).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}


@dataclass
class Service:
    """The served world, and ids of things that exist in it."""

    world: RealWorld
    session: requests.Session
    base: str
    project: int

    def existing(self) -> dict[str, Any]:
        """A task with an execution of its own, as an operation may delete it."""
        number = next(NUMBERS)
        body = {"name": f"seed {number}", "project_id": self.project, "schedule_type": "CRON"}
        task = self.post("/tasks", {**body, "schedule_config": "0 * * * *"}).json()["data"]["id"]
        triggered = self.post(f"/tasks/{task}/trigger", {})
        execution = triggered.headers["Location"].rsplit("/", 1)[1]
        project = self.post("/projects", {"name": f"other {number}", "image": "busybox"}).json()["data"]["id"]
        return {"task_id": task, "project_id": project, "execution_id": execution}

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """A request that must work."""
        response = self.session.post(f"{self.base}/api/v1/scheduler{path}", json=body, headers=self.headers, timeout=10)
        assert response.status_code == 200, response.text
        return response

    def good_body(self, label: str) -> dict[str, Any]:
        """A body that this operation accepts, with a new name."""
        if label == "POST /api/v1/scheduler/projects":
            return {"name": f"project {next(NUMBERS)}", "image": "busybox"}
        good = {"project_id": self.project, "schedule_type": "CRON", "schedule_config": "0 * * * *"}
        return good | {"name": f"task {next(NUMBERS)}"} if label == "POST /api/v1/scheduler/tasks" else {}

    @property
    def headers(self) -> dict[str, str]:
        """An administrator's."""
        return {"Authorization": f"Bearer {self.world.token('root', admin=True)}"}


def some_of(body: dict[str, Any], pick: int) -> dict[str, Any]:
    """One or two fields of a generated body: whole, it is soon refused for one of them, and no more is learned."""
    names = sorted(body, key=repr)
    return {names[number % len(names)]: body[names[number % len(names)]] for number in (pick, pick // 3) if names}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("schema")
    with fresh_database() as url:
        database = Database(url, application_name="tests")
        world = make_world(folder / "keys", database)
        with serving(world) as base, requests.Session() as session:
            session.trust_env = False
            made = Service(world, session, base, 0)
            made.project = made.post("/projects", {"name": "seed", "image": "busybox"}).json()["data"]["id"]
            yield made
        database.dispose()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_the_document_describes(service: Service, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    existing = service.existing()
    codes: set[int] = set()
    # A stream of what exists goes on until its execution ends; tests of their own read it.
    endless = "text/event-stream" in DOCUMENT["paths"][operation.path][operation.method]["responses"]["200"]["content"]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), real=st.integers(0, 3), pick=st.integers(0, 10_000))
    def send(case: Any, real: int, pick: int) -> None:
        if real and not endless:  # what does not exist is soon refused, and no more is learned
            known = {name: existing[name] for name in case.path_parameters or {} if name in existing}
            case.path_parameters = {**(case.path_parameters or {}), **known}
            if (
                real == 1
            ):  # a precondition that is made up never holds, and of a request that was made, no more is learned
                case.headers = {}
            if isinstance(case.body, dict):
                case.body = service.good_body(label) | some_of(case.body, pick)
        response = case.call(
            base_url=service.base, session=service.session, headers=service.headers, timeout=DEADLINE_SECONDS
        )
        codes.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    send()
    # The seeded task is active, so that resuming it is a conflict.
    expected = 404 if endless else 409 if label.endswith("/resume") else 200
    assert mode is not GenerationMode.POSITIVE or expected in codes, f"nothing was answered but {sorted(codes)}"
    assert_whole(service.world)
