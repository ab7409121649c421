"""Examples of the OpenAPI document: the customer's own where their document has one, completed by the fields' examples.

`document_examples.json` is written from docs/reference/customer-api.zh.md by `make openapi`; a contract test compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

Schema = Mapping[str, Any]
_BY_FORMAT = {"date-time": "2024-01-01T02:00:00Z", "date": "2024-01-01"}
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": False, "string": "string", "null": None}
_OURS = {"redis_status": "DISABLED"}
"""Where our answer is never what the document shows (docs/api.md)."""
_REQUESTS: dict[str, Any] = {
    "POST /api/v1/scheduler/projects": {
        "name": "数据处理项目",
        "image": "registry.example.com/etl:1.4",
        "command": ["python", "-m", "etl"],
        "members": ["alice"],
        "max_concurrent_executions": 10,
    },
    "PUT /api/v1/scheduler/projects/{project_id}": {"image": "registry.example.com/etl:1.5"},
    "POST /api/v1/scheduler/tasks/{task_id}/trigger": {"env": {"REGION": "eu"}},
    "POST /api/v1/scheduler/schedules/preview": {
        "schedule_type": "CRON",
        "schedule_config": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "start": "2026-03-28T00:00:00Z",
        "count": 3,
    },
}
"""Bodies of our additions."""


@lru_cache(maxsize=1)
def of_the_document() -> Mapping[str, Any]:
    """The document's examples by `METHOD path`: `requests` (by title) and `answer`; its error under `error`."""
    text = (files("cronwright_api") / "schemas" / "document_examples.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def request_examples(operation: str, schema: Schema, components: Mapping[str, Schema]) -> dict[str, Any]:
    """OpenAPI's `examples` of a body: the document's by their titles, else one of ours."""
    own = _REQUESTS.get(operation)
    if own is None and operation not in of_the_document():
        own = example_of(schema, components)
    given = of_the_document().get(operation, {}).get("requests", {})
    return {title: {"value": value} for title, value in (given or {"example": own}).items()}


def answer_example(operation: str, schema: Schema, components: Mapping[str, Schema]) -> Any:
    """The answer of a success: the document's, with what we add to it."""
    made = example_of(schema, components)
    shown = of_the_document().get(operation)
    return made if shown is None else _over(made, shown["answer"])


def error_example(code: int, message: str) -> dict[str, Any]:
    """The document's error for 400, others in its form."""
    error: dict[str, Any] = of_the_document()["error"]
    return dict(error) if code == error["code"] else {**error, "code": code, "message": message, "errors": []}


def example_of(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """A value of the schema, by the examples, defaults and enums that it names; null where only null is certain."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rsplit("/", 1)[1]], components)
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "anyOf" in schema:
        choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
        structured = "$ref" in choices[0] or choices[0].get("format") in _BY_FORMAT or "examples" in choices[0]
        return example_of(choices[0], components) if structured or len(choices) == len(schema["anyOf"]) else None
    if schema.get("type") == "object" or "properties" in schema:
        return {name: example_of(field, components) for name, field in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example_of(schema["items"], components)] if schema.get("items") else []
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    low = schema.get("minimum")
    value = _BY_TYPE.get(schema.get("type", ""))
    return max(low, value) if low is not None and value is not None else value


def _over(made: Any, shown: Any) -> Any:
    """`shown` on top of `made`, which has the fields that the document does not know."""
    if isinstance(shown, dict):
        base = made if isinstance(made, dict) else {}
        return {**base, **{key: _OURS.get(key, _over(base.get(key), value)) for key, value in shown.items()}}
    if isinstance(shown, list):
        first = made[0] if isinstance(made, list) and made else None
        return [_over(first, item) for item in shown]
    return shown
