"""README's "Use it", run as it is printed: the examples by kubectl, those by REST, and that of each endpoint.

What is changed: the namespace and the user, so that the test disturbs nobody. `.local/env` is in the environment
already.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.cluster import Cluster, Space, kubectl

README = Path(__file__).parents[2] / "README.md"
_ROW = re.compile(r"^\| [+0-9]+ \| `([A-Z]+) ([^`]+)` \| .+ \| `(.+)` \|$", re.M)
_BLOCK = re.compile(r"(?:^    .*\n(?:\n(?=    ))?)+", re.M)
_SOURCING = "set -a; . .local/env; set +a"
_MAY_BE_LATE = {"POST /executions/{execution_id}/cancel", "DELETE /projects/{project_id}"}
"""Where the table itself names a 409: the run has ended already; the example's other task still uses the project."""


@dataclass(frozen=True)
class Example:
    """One row of the table."""

    endpoint: str
    command: str


def read_examples(text: str) -> tuple[list[str], list[Example]]:
    """The blocks of commands between "Use it" and "By Helm", and the rows of the table of endpoints."""
    part = text.split("## Use it")[1].split("### By Helm")[0]
    blocks = [re.sub("^    ", "", block, flags=re.M) for block in _BLOCK.findall(part)]
    return blocks, [Example(f"{method} {path}", command) for method, path, command in _ROW.findall(part)]


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Space]:
    """The namespace that the commands themselves create."""
    space = Space(cluster, f"readme-{uuid.uuid4().hex[:8]}")
    yield space
    space.clear()


def test_every_command_of_use_it(cluster: Cluster, place: Space) -> None:
    text = README.read_text(encoding="utf-8")
    blocks, examples = read_examples(text)
    document = httpx.get(f"{cluster.url}/openapi.json", timeout=30).json()
    base = "/api/v1/scheduler"
    offered = {f"{m.upper()} {path.removeprefix(base)}" for path, some in document["paths"].items() for m in some}
    assert offered == {example.endpoint for example in examples}, "each endpoint has its row"
    assert len(offered) == len(examples)

    user = f"readme-{uuid.uuid4().hex[:8]}"
    # What deletes comes last; all else in the order of the table.
    ordered = sorted(examples, key=lambda example: example.endpoint.startswith("DELETE"))
    assert blocks[0].strip() == _SOURCING
    marked = [f"echo; echo '@@ {number}'\n{example.command}" for number, example in enumerate(ordered)]
    script = "\n".join(["set -euo pipefail", *blocks[1:], *marked])
    for printed, own in (("team-a", place.namespace), ("alice", user), ('"spare"', f'"spare of {user}"')):
        assert printed in script
        script = script.replace(printed, own)
    environment = {**os.environ, "CRONWRIGHT_USER_TOKEN": cluster.new_user(user).token}
    if "CRONWRIGHT_KUBECTL" in environment:
        environment["PATH"] = f"{Path(environment['CRONWRIGHT_KUBECTL']).parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"

    before, *answers = re.split(r"^@@ \d+\n", done.stdout, flags=re.M)
    assert "ScheduledTask" in before, "kubectl explain has printed its page"
    assert before.count("event: end") == 1, before[-2000:]
    wrong = [
        f"{example.command}: {answer}"
        for example, answer in zip(ordered, answers, strict=True)
        if not is_good(example, answer)
    ]
    assert wrong == []
    spare = next(
        answer for example, answer in zip(ordered, answers, strict=True) if example.endpoint == "POST /projects"
    )
    resource = json.loads(spare)["data"]
    kubectl("delete", "project.cronwright.dev", resource["resource_name"], "-n", resource["namespace"], "--wait=false")


def is_good(example: Example, answer: str) -> bool:
    """A success in the document's form, or a stream that came to its end."""
    if example.endpoint.endswith("/stream"):
        return "event: end" in answer
    body = json.loads(answer)
    return body.get("success") is True or "items" in body or (example.endpoint in _MAY_BE_LATE and body["code"] == 409)
