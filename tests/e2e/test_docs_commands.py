"""The commands of docs/, run as they are printed; README's own are in `test_readme.py`.

What is changed: the namespace, the user and the database that is written, so that the test disturbs nobody.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import SYSTEM, Cluster, Space, kubectl
from support.doc_commands import blocks, run


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Space]:
    """The namespace that README's commands create."""
    space = Space(cluster, f"docs-{uuid.uuid4().hex[:8]}")
    yield space
    space.clear()


def test_docs_kubectl(cluster: Cluster, place: Space, tmp_path: Path) -> None:
    user = f"docs-{uuid.uuid4().hex[:8]}"
    script = blocks("README.md", "### By kubectl", "### By REST")[:1] + blocks("docs/kubectl.md")
    script = [block.replace("team-a", place.namespace).replace("alice", user) for block in script]
    said = run(script, tmp_path, CRONWRIGHT_USER_TOKEN=cluster.new_user(user).token)
    assert "spec.schedule: Invalid value" in said, "the wrong task is refused"
    assert "T02:30:00+08:00" in said, "next"
    assert "SUCCESS, exit code 0" in said, "trigger --wait"
    assert said.count("hello") >= 2, "the output, from the Pods and from the record"
    assert '"status": "SUCCESS"' in said, "the history as JSON"
    assert "its end is asked for" in said
    assert "condition met" in said


def test_the_database_is_dumped_and_comes_back(tmp_path: Path) -> None:
    """A dump of the live installation, restored beside it; stopping the installation for it is what is left out."""
    dump, restore = blocks("docs/operations.md", "## Backup and restore", "## Rebuilding")[:2]
    run([dump], tmp_path)
    (written,) = tmp_path.glob("*.dump")
    assert written.stat().st_size > 1000
    assert "kind: ScheduledTask" in (tmp_path / "cronwright-resources.yaml").read_text()
    beside = f"restored_{uuid.uuid4().hex[:8]}"
    server = ("-n", SYSTEM, "exec", "statefulset/cronwright-postgresql", "--")
    steps = [
        line for line in restore.splitlines() if line.startswith("ns=") or "createdb" in line or "pg_restore" in line
    ]
    assert len(steps) == 3, restore
    changed = [
        line.replace("-d cronwright", f"-d {beside}").replace("-U cronwright cronwright", f"-U cronwright {beside}")
        for line in steps
    ]
    try:
        assert "error" not in run(changed, tmp_path)
        query = ("psql", "-U", "cronwright", "-d", beside, "-tAc", "SELECT count(*) > 0 FROM executions")
        assert kubectl(*server, *query).strip() == "t"
    finally:
        kubectl(*server, "dropdb", "-U", "cronwright", "--if-exists", beside)
