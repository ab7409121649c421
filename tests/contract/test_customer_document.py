"""The customer's document against our OpenAPI document: parameters, bounds, bodies, enums, errors."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_api.app import create_app
from support.api import make_settings
from support.customer_document import FILE, Endpoint, Parameter, parse, read

DOCUMENT = read()
TYPES = {"int": "integer", "string": "string", "boolean": "boolean", "datetime": "string"}
NOT_REQUIRED = {"schedule_config"}
"""Required in the document; here a ONCE task may leave it out, any other gets its 400 (docs/api.md)."""
ENDPOINTS = DOCUMENT.endpoints
PARAMETERS = [(endpoint, parameter) for endpoint in ENDPOINTS for parameter in endpoint.parameters]


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return create_app(make_settings()).openapi()


def resolve(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def operation(openapi: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = openapi["paths"][endpoint.path][endpoint.method.lower()]
    return found


def without_null(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    schema = resolve(openapi, schema)
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return {**schema, **resolve(openapi, choice)}
    return schema


def test_everything_of_the_document_is_read() -> None:
    assert [endpoint.number for endpoint in DOCUMENT.endpoints] == list(range(1, 16))
    assert DOCUMENT.frame == ("success", "code", "message", "data")
    listed = [parameter for endpoint in DOCUMENT.endpoints for parameter in endpoint.parameters]
    assert (len(listed), len(DOCUMENT.cron_examples), len(DOCUMENT.error_codes)) == (32, 5, 6)
    for endpoint in DOCUMENT.endpoints:
        assert endpoint.request.method == endpoint.method
        assert endpoint.request.headers["Authorization"] == "Bearer <token>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- `page` (int, 可选): 页码", "- page: 页码"),
        ("**GET** `/api/v1/scheduler/metrics`", "GET /api/v1/scheduler/metrics"),
        ("curl -X DELETE", "curl --request DELETE"),
        ("#### 请求体", "#### 请求正文"),
    ],
)
def test_what_the_parser_cannot_read_is_an_error(old: str, new: str) -> None:
    text = FILE.read_text()
    assert old in text
    with pytest.raises((ValueError, KeyError)):
        parse(text.replace(old, new))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.number}")
def test_each_endpoint_is_an_operation(openapi: dict[str, Any], endpoint: Endpoint) -> None:
    found = operation(openapi, endpoint)
    assert found["summary"].startswith(endpoint.title)
    assert ("requestBody" in found) or endpoint.body is None
    for code in DOCUMENT.error_codes:
        assert str(code) in found["responses"]


@pytest.mark.parametrize(("endpoint", "parameter"), PARAMETERS, ids=lambda p: getattr(p, "name", None))
def test_each_parameter_is_declared_as_the_document_says(
    openapi: dict[str, Any], endpoint: Endpoint, parameter: Parameter
) -> None:
    found = operation(openapi, endpoint)
    if parameter.place == "body":
        body = resolve(openapi, found["requestBody"]["content"]["application/json"]["schema"])
        schema, required = body["properties"][parameter.name], parameter.name in body["required"]
    else:
        (declared,) = (item for item in found["parameters"] if item["name"] == parameter.name)
        assert declared["in"] == parameter.place
        schema, required = declared["schema"], declared.get("required", False)
    schema = without_null(openapi, schema)
    assert required == (parameter.required and parameter.name not in NOT_REQUIRED)
    assert schema["type"] == TYPES[parameter.type]
    if parameter.default is not None:
        assert schema["default"] == parameter.default
    if parameter.type == "datetime":
        assert schema["format"] == "date-time"
    if parameter.name == "status":
        assert tuple(schema["enum"]) == DOCUMENT.statuses
    if parameter.values:
        assert tuple(schema["enum"]) == parameter.values
    for keyword, value in (
        ("minLength", parameter.minimum_length),
        ("maxLength", parameter.maximum_length),
        ("maximum", parameter.maximum),
    ):
        if value is not None:
            assert schema[keyword] == value


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.number}")
def test_each_field_of_an_answer_is_declared(openapi: dict[str, Any], endpoint: Endpoint) -> None:
    content = operation(openapi, endpoint)["responses"]["200"]["content"]["application/json"]
    problems = list(_undeclared(openapi, endpoint.answer, content["schema"], ""))
    assert problems == []


def _undeclared(openapi: dict[str, Any], example: Any, schema: dict[str, Any], path: str) -> Any:
    schema = resolve(openapi, schema)
    if example is None:
        allowed = [schema.get("type"), *(choice.get("type") for choice in schema.get("anyOf", []))]
        if "null" not in allowed and "string" not in allowed:
            yield f"{path}: null is not declared"
        return
    schema = without_null(openapi, schema)
    if isinstance(example, dict):
        for key, value in example.items():
            if key not in schema.get("properties", {}):
                yield f"{path}.{key}: is not declared"
            elif key not in schema.get("required", ()) and "const" not in schema["properties"][key]:
                yield f"{path}.{key}: may be missing"
            else:
                yield from _undeclared(openapi, value, schema["properties"][key], f"{path}.{key}")
    elif isinstance(example, list):
        if schema.get("type") != "array":
            yield f"{path}: is not declared as a list"
        else:
            for item in example:
                yield from _undeclared(openapi, item, schema["items"], f"{path}[]")
    elif schema.get("type") not in _json_types(example):
        yield f"{path}: {schema.get('type')} is declared, the document shows {example!r}"


def _json_types(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int):
        return ("integer", "number")
    if isinstance(value, float):
        return ("number",)
    return ("string",)
