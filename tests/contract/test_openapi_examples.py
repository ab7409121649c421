"""Every operation of the OpenAPI document has examples that fit; the customer's stand in them unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cronwright_api.app import create_app
from support.api import make_settings
from support.customer_document import examples, read

ROOT = Path(__file__).parents[2]
OPENAPI = create_app(make_settings()).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in OPENAPI["paths"].items()
    for method, operation in operations.items()
}
SHOWN = {f"{e.method} {e.path}": e for e in read().endpoints if f"{e.method} {e.path}" in OPERATIONS}
OURS = {("redis_status", "HEALTHY", "DISABLED")}
"""There is no Redis (docs/api.md)."""


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each JSON body of an operation: the request's and each answer's."""
    places = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for place, holder in places.items():
        if "application/json" in holder.get("content", {}):
            yield str(place), holder["content"]["application/json"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_body_has_an_example_that_fits_its_schema(name: str) -> None:
    for place, content in bodies(OPERATIONS[name]):
        given = (
            [content["example"]] if "example" in content else [item["value"] for item in content["examples"].values()]
        )
        assert given, f"{name} {place}: there is no example"
        validator = Draft202012Validator({**content["schema"], "components": OPENAPI["components"]})
        for value in given:
            problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
            assert problems == [], f"{name} {place}"


@pytest.mark.parametrize("name", SHOWN)
def test_the_customers_examples_stand_in_ours(name: str) -> None:
    example = OPERATIONS[name]["responses"]["200"]["content"]["application/json"]["example"]
    assert list(changed(SHOWN[name].answer, example, "")) == []
    if SHOWN[name].body is not None:
        given = OPERATIONS[name]["requestBody"]["content"]["application/json"]["examples"].values()
        assert [item["value"] for item in given] == [SHOWN[name].body, SHOWN[name].request.body]


def changed(shown: Any, ours: Any, key: str) -> Iterator[str]:
    if isinstance(shown, dict):
        for name, value in shown.items():
            yield from changed(value, ours.get(name, "missing"), name)
    elif isinstance(shown, list):
        assert len(shown) == len(ours)
        for one, other in zip(shown, ours, strict=True):
            yield from changed(one, other, key)
    elif shown != ours and (key, shown, ours) not in OURS:
        yield f"{key}: {shown!r} became {ours!r}"


def test_each_operation_is_described() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in OPENAPI["tags"]}
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
    assert OPENAPI["components"]["securitySchemes"]["jwt"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }


def test_the_written_copies_are_current() -> None:
    todo = "run `make openapi` and commit what it writes"
    kept = json.loads((files("cronwright_api") / "schemas" / "document_examples.json").read_text())
    assert kept == examples(), todo
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == OPENAPI, todo
