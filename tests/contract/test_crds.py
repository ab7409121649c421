"""The CRDs are whole: every field described, every bound given, and the chart installs exactly what stands in crds/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support import chart

SOURCE = chart.ROOT / "crds"
COPY = chart.CHART / "files" / "crds"
FILES = sorted(path.name for path in SOURCE.glob("*.yaml"))


def definition(name: str) -> dict[str, Any]:
    (loaded,) = chart.load_all((SOURCE / name).read_text())
    return loaded


def schemas(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node below `spec` and `status`, with its path."""

    def walk(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield path, node
        for key, child in node.get("properties", {}).items():
            yield from walk(f"{path}.{key}", child)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from walk(f"{path}[]", node[key])

    for version in definition(name)["spec"]["versions"]:
        root = version["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            yield from walk(part, root["properties"][part])


def test_there_are_the_two_of_them() -> None:
    assert FILES == ["projects.yaml", "scheduledtasks.yaml"]


def test_the_charts_copy_is_the_source() -> None:
    """`make sync-crds` makes it so."""
    assert sorted(path.name for path in COPY.glob("*")) == FILES
    for name in FILES:
        assert (COPY / name).read_bytes() == (SOURCE / name).read_bytes(), f"{name} differs: run `make sync-crds`"


def test_the_chart_installs_them_unchanged_and_keeps_them() -> None:
    rendered = {item["metadata"]["name"]: item for item in chart.render().of("CustomResourceDefinition")}
    assert len(rendered) == len(FILES)
    for name in FILES:
        source = definition(name)
        installed = rendered[source["metadata"]["name"]]
        assert installed["spec"] == source["spec"]
        assert installed["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_chart_leaves_them_out_on_request() -> None:
    assert chart.render({"crds.enabled": False}).of("CustomResourceDefinition") == []
    let_go = chart.render({"crds.keep": False}).of("CustomResourceDefinition")
    assert all("annotations" not in item["metadata"] for item in let_go)


@pytest.mark.parametrize("name", FILES)
def test_every_field_is_described(name: str) -> None:
    silent = [path for path, node in schemas(name) if not path.endswith("[]") and not node.get("description")]
    assert silent == []


@pytest.mark.parametrize("name", FILES)
def test_descriptions_read_like_sentences(name: str) -> None:
    odd = [path for path, node in schemas(name) if not node.get("description", "A").strip()[0].isupper()]
    assert odd == []


@pytest.mark.parametrize("name", FILES)
def test_everything_in_a_spec_has_a_bound(name: str) -> None:
    """Without bounds a CEL rule is estimated at the worst case, and an object may grow past what etcd takes."""
    unbounded = []
    for path, node in schemas(name):
        if not path.startswith("spec"):
            continue
        kind = node.get("type")
        bounded = {
            "string": "maxLength" in node or "enum" in node or "format" in node,
            "array": "maxItems" in node,
            "object": "properties" in node or "maxProperties" in node,
        }
        if not bounded.get(str(kind), True):
            unbounded.append(path)
    assert unbounded == []


@pytest.mark.parametrize("name", FILES)
def test_lists_say_how_they_merge(name: str) -> None:
    """Lists of objects are maps by a key, so that two writers do not replace each other's entries."""
    plain = [
        path
        for path, node in schemas(name)
        if node.get("type") == "array"
        and node["items"].get("type") == "object"
        and not node.get("x-kubernetes-list-type")
    ]
    assert plain == []


@pytest.mark.parametrize("name", FILES)
def test_group_version_and_status(name: str) -> None:
    spec = definition(name)["spec"]
    assert (spec["group"], spec["scope"]) == ("cronwright.dev", "Namespaced")
    assert [version["name"] for version in spec["versions"] if version["storage"]] == ["v1"]
    assert all(version["subresources"] == {"status": {}} for version in spec["versions"])
    assert spec["names"]["shortNames"]


def test_the_columns_of_a_task_answer_the_questions_people_have() -> None:
    (version,) = definition("scheduledtasks.yaml")["spec"]["versions"]
    shown = {column["jsonPath"] for column in version["additionalPrinterColumns"] if not column.get("priority")}
    assert {".spec.schedule", ".spec.suspend", ".status.lastExecutionStatus", ".status.nextScheduleTime"} <= shown
