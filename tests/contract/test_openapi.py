"""The OpenAPI document says what the customer's document says: paths, parameters, fields, and no 422."""

from __future__ import annotations

from typing import Any

import pytest

from cronwright_api.app import create_app
from support.api import make_settings

BASE = "/api/v1/scheduler"
TASK = {
    *("id", "name", "description", "project_id", "schedule_type", "schedule_config", "is_active", "status"),
    *("timeout_seconds", "max_instances", "retry_count", "priority", "next_run_time", "created_at", "updated_at"),
}
EXECUTION = {
    *("execution_id", "task_id", "status", "start_time", "end_time", "duration_seconds", "exit_code"),
    *("output_summary", "error_message", "log_file_path", "error_log_path", "created_at"),
}
# Fields as the customer's document shows them in each answer; the product may add more.
FRAMED = {
    ("post", "/tasks"): TASK,
    ("put", "/tasks/{task_id}"): TASK,
    ("get", "/tasks/{task_id}"): TASK | {"project_name", "execution_summary"},
    ("get", "/executions/{execution_id}"): EXECUTION | {"task_name", "workspace_path", "resource_usage"},
    ("get", "/executions/{execution_id}/logs/file"): {
        *("execution_id", "log_type", "content", "file_path", "file_size", "lines_count", "last_modified")
    },
    ("post", "/cleanup-workspaces"): {"cleanup_summary"},
    ("get", "/metrics"): {
        *("cpu_percent", "memory_percent", "disk_usage", "active_tasks", "scheduler_status", "queue_status"),
        *("database_status", "redis_status", "last_updated"),
    },
    ("get", "/tasks/{task_id}/stats"): {
        *("total_executions", "success_count", "failed_count", "success_rate", "average_duration", "last_execution"),
        "execution_trends",
    },
}
PAGES = {
    ("get", "/tasks"): {
        *("id", "name", "description", "project_id", "schedule_type", "schedule_config", "is_active", "status"),
        *("next_run_time", "last_execution", "created_at"),
    },
    ("get", "/tasks/{task_id}/executions"): EXECUTION,
}
QUERIES = {
    ("get", "/tasks"): {*("page", "size", "status", "is_active", "search", "project_id", "schedule_type", "sort")},
    ("get", "/tasks/{task_id}/executions"): {"page", "size", "status", "start_date", "end_date", "sort"},
    ("get", "/executions/{execution_id}/logs/file"): {"log_type", "lines", "attempt"},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(make_settings()).openapi()


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def answer(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    content = document["paths"][BASE + path][method]["responses"]["200"]["content"]["application/json"]
    return resolve(document, content["schema"])


@pytest.mark.parametrize(("method", "path"), FRAMED)
def test_framed_answers(document: dict[str, Any], method: str, path: str) -> None:
    frame = answer(document, method, path)
    assert set(frame["properties"]) == {"success", "code", "message", "data"}
    assert FRAMED[method, path] <= set(resolve(document, frame["properties"]["data"])["properties"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("delete", "/tasks/{task_id}"),
        ("post", "/tasks/{task_id}/pause"),
        ("post", "/tasks/{task_id}/resume"),
        ("post", "/tasks/{task_id}/trigger"),
        ("post", "/executions/{execution_id}/cancel"),
    ],
)
def test_answers_without_data(document: dict[str, Any], method: str, path: str) -> None:
    assert answer(document, method, path)["properties"]["data"]["type"] == "null"


@pytest.mark.parametrize(("method", "path"), PAGES)
def test_bare_pages(document: dict[str, Any], method: str, path: str) -> None:
    page = answer(document, method, path)
    assert set(page["properties"]) == {"total", "page", "size", "items"}
    assert PAGES[method, path] <= set(resolve(document, page["properties"]["items"]["items"])["properties"])


@pytest.mark.parametrize(("method", "path"), QUERIES)
def test_queries(document: dict[str, Any], method: str, path: str) -> None:
    parameters = document["paths"][BASE + path][method]["parameters"]
    assert {item["name"] for item in parameters if item["in"] == "query"} == QUERIES[method, path]


def test_the_body_of_a_task(document: dict[str, Any]) -> None:
    operation = document["paths"][f"{BASE}/tasks"]["post"]
    body = resolve(document, operation["requestBody"]["content"]["application/json"]["schema"])
    assert set(body["required"]) == {"name", "project_id", "schedule_type"}  # schedule_config: but for ONCE
    defaults = {name: body["properties"][name].get("default") for name in ("is_active", "timeout_seconds", "priority")}
    assert defaults == {"is_active": True, "timeout_seconds": 3600, "priority": 0}
    assert body["properties"]["schedule_type"]["enum"] == ["ONCE", "CRON", "INTERVAL", "DATE"]
    assert body["properties"]["schedule_config"]["type"] == "string"


def test_nothing_is_required_of_an_edit(document: dict[str, Any]) -> None:
    operation = document["paths"][f"{BASE}/tasks/{{task_id}}"]["put"]
    body = resolve(document, operation["requestBody"]["content"]["application/json"]["schema"])
    assert "required" not in body
    assert TASK - {"id", "status", "next_run_time", "created_at", "updated_at"} <= set(body["properties"])


def test_every_operation_needs_a_token_and_has_the_documents_errors(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        assert path.startswith(BASE + "/")
        for operation in operations.values():
            assert operation["security"] == [{"jwt": []}]
            assert "422" not in operation["responses"]
            for code in ("400", "401", "403", "404", "409", "500", "503"):
                schema = operation["responses"][code]["content"]["application/json"]["schema"]
                error = resolve(document, schema)
                assert set(error["properties"]) == {"success", "code", "message", "errors", "timestamp"}


def test_a_failed_precondition_is_an_answer_where_one_can_be_set(document: dict[str, Any]) -> None:
    conditional = {
        (path.removeprefix(BASE), method)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "412" in operation["responses"]
    }
    assert conditional == {
        ("/tasks/{task_id}", "put"),
        ("/tasks/{task_id}", "delete"),
        ("/tasks/{task_id}/pause", "post"),
        ("/tasks/{task_id}/resume", "post"),
        ("/projects/{project_id}", "put"),
        ("/projects/{project_id}", "delete"),
    }


def test_all_references_resolve(document: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rsplit("/", 1)[1] in document["components"]["schemas"]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
