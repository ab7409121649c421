"""The OpenAPI document: FastAPI's own, with the bodies that it does not know of and the errors as they really are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cronwright_api.envelope import ErrorEnvelope

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "请求参数错误或调度配置无效",
    "401": "未认证或token无效",
    "403": "权限不足",
    "404": "任务或执行记录不存在",
    "409": "名称重复或状态冲突",
    "412": "If-Match与资源当前版本不匹配",
    "500": "服务器内部错误",
    "503": "数据库或集群暂时不可用",
}
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
    error = {"application/json": {"schema": {"$ref": _REF.format(model=ErrorEnvelope.__name__)}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for code, description in _ERRORS.items():
                operation["responses"][code] = {"description": description, "content": error}
    return document
