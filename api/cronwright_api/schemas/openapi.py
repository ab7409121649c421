"""The OpenAPI document: FastAPI's own, with the bodies that it does not know of and the errors as they really are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cronwright_api.envelope import ErrorEnvelope
from cronwright_api.preconditions import IF_MATCH
from cronwright_api.schemas import examples

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "请求参数错误或调度配置无效",
    "401": "未认证或token无效",
    "403": "权限不足",
    "404": "任务或执行记录不存在",
    "409": "名称重复或状态冲突",
    "500": "服务器内部错误",
    "503": "数据库或集群暂时不可用",
}
"""The document names these for every endpoint."""
_PRECONDITION = {"412": "If-Match与资源当前版本不匹配"}
_TAGS = [
    {"name": "tasks", "description": "Endpoints 1 to 9 and 12: tasks, their manual runs, history and statistics"},
    {"name": "executions", "description": "Endpoints 10 and 11: one execution, its attempts and its logs"},
    {"name": "running", "description": "Endpoint 14: what runs at this moment"},
    {"name": "system", "description": "Endpoints 13 and 15: the state of the scheduler, and its workspaces"},
    {"name": "projects", "description": "Addition: what tasks run, and who may use it"},
    {"name": "schedules", "description": "Addition: when a schedule would fire"},
]
_JSON = "application/json"
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body by `bodies.Body`."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def document_for(app: FastAPI, bodies: tuple[type[BaseModel], ...]) -> Callable[[], dict[str, Any]]:
    """The function that FastAPI calls for its document; the result is kept."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app, bodies)
        return app.openapi_schema

    return document


def _build(app: FastAPI, bodies: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    _, further = models_json_schema(
        [*((body, "validation") for body in bodies), (ErrorEnvelope, "serialization")], ref_template=_REF
    )
    schemas.update(further["$defs"])
    document["tags"] = _TAGS
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            _add_errors(operation)
            _add_examples(f"{method.upper()} {path}", operation, schemas)
    return document


def _add_errors(operation: dict[str, Any]) -> None:
    parameters = operation.get("parameters", ())
    conditional = any(parameter["name"] == IF_MATCH for parameter in parameters)
    for code, description in (_ERRORS | _PRECONDITION if conditional else _ERRORS).items():
        schema = {"$ref": _REF.format(model=ErrorEnvelope.__name__)}
        content = {"schema": schema, "example": examples.error_example(int(code), description)}
        operation["responses"][code] = {"description": description, "content": {_JSON: content}}


def _add_examples(name: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body is not None:
        body["examples"] = examples.request_examples(name, body["schema"], schemas)
    answer = operation["responses"].get("200", {}).get("content", {}).get(_JSON)
    if answer is not None:
        answer["example"] = examples.answer_example(name, answer["schema"], schemas)
