"""What the API server's JSON becomes on its way in."""

from __future__ import annotations

import pytest

from cronwright_core.kube import codec

DECOMPOSED, COMPOSED = "cafe\u0301 job", "café job"


@pytest.mark.parametrize(
    ("display_name", "name"),
    [(DECOMPOSED, COMPOSED), (COMPOSED, COMPOSED), (None, "resource"), ("", "resource"), ("\u3000wide\u3000", "wide")],
)
def test_names_by_kubectl_are_composed_as_those_by_rest(display_name: str | None, name: str) -> None:
    task = codec.to_task_spec({"displayName": display_name, "projectName": "data"}, "resource")
    project = codec.to_project_spec({"displayName": display_name, "image": "busybox"}, "resource")
    assert [task.display_name, project.display_name] == [name, name]
