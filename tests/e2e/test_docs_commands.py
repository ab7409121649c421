"""The commands of docs/, run as they are printed; README's own are in `test_readme.py`.

What is changed: the namespace and the user, so that the test disturbs nobody. Backup, restore and rotation of keys are
run in `test_helm_lifecycle.py`, rebuilding the projection in `test_absence.py`.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.chart import CHART, find_helm
from support.cluster import Cluster, Rest, Space, kubectl
from support.doc_commands import ROOT, blocks, run

NOT_RUN = {
    # Named as what to use, without what they would be used on.
    "kubectl describe",
    "kubectl annotate",
    "cronwright release",
    # Kueue is not installed here.
    "kubectl get workloads",
}


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Space]:
    """The namespace that README's commands create."""
    space = Space(cluster, f"docs-{uuid.uuid4().hex[:8]}")
    yield space
    space.clear()


@pytest.mark.takes(40)
def test_docs_kubectl(cluster: Cluster, place: Space, tmp_path: Path) -> None:
    user = f"docs-{uuid.uuid4().hex[:8]}"
    script = blocks("README.md", "### By kubectl", "### By REST")[:1] + blocks("docs/kubectl.md")
    script = [block.replace("team-a", place.namespace).replace("alice", user) for block in script]
    # The newest run is one that was cancelled, maybe before it said anything: what the record shows is to be another's.
    at = next(number for number, block in enumerate(script) if "export CRONWRIGHT_TOKEN" in block)
    plugin = f"kubectl cronwright {{}} nightly-report -n {place.namespace}"
    with_record = "CRONWRIGHT_TOKEN=$CRONWRIGHT_USER_TOKEN " + plugin.format("logs")
    until_recorded = f"timeout 60 sh -c 'until {with_record} | grep -q hello; do sleep 0.5; done'"
    script[at:at] = [plugin.format("trigger") + " --wait", until_recorded]
    said = run(script, tmp_path, CRONWRIGHT_USER_TOKEN=cluster.new_user(user).token)
    assert "spec.schedule: Invalid value" in said, "the wrong task is refused"
    assert "T02:30:00+08:00" in said, "next"
    assert "SUCCESS, exit code 0" in said, "trigger --wait"
    assert said.count("hello") >= 2, "the output, from the Pods and from the record"
    assert '"status": "SUCCESS"' in said, "the history as JSON"
    assert "its end is asked for" in said
    assert "condition met" in said


@pytest.mark.takes(40)
def test_docs_troubleshooting(space: Space, alice: Rest, tmp_path: Path) -> None:
    """Every command of the page, in its text too, against one task that has run."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    printed = set(re.findall(r"`((?:kubectl|cronwright) [^`]+)`", page))
    assert printed > NOT_RUN, "what is left out is still there"
    space.apply_task("demo", "echo hello", scheduleType="Cron", schedule="0 0 1 1 *")
    alice.trigger(space.task_id("demo"))
    alice.ended(space.task_id("demo"))
    own = [
        command.replace("NAMESPACE", space.namespace).replace("NAME", "demo").replace("spec.x", "spec.schedule")
        for command in (*blocks("docs/troubleshooting.md"), *sorted(printed - NOT_RUN))
    ]
    # `-n` is left to the context wherever it can be.
    config = tmp_path / "kubeconfig"
    config.write_bytes(Path(os.environ["KUBECONFIG"]).read_bytes())
    kubectl("--kubeconfig", str(config), "config", "set-context", "--current", f"--namespace={space.namespace}")
    wrong = []
    for printed_command in own:
        command = printed_command.replace("--all --suspend", f"--namespace {space.namespace} --suspend")
        try:
            run([command], tmp_path, KUBECONFIG=str(config))
        except AssertionError as error:
            wrong.append(f"{command}: {error}")
    assert wrong == []
    assert len(own) > 15


def test_docs_helm_upgrades(cluster: Cluster, tmp_path: Path) -> None:
    """What is printed for a change of the release, shown to the API server; the values are yours."""
    found = [block for block in blocks("docs/operations.md") if block.startswith("helm upgrade")]
    assert len(found) == 3
    for block in found:
        command = block.replace("charts/cronwright", str(CHART)).replace("helm", find_helm(), 1)
        assert "STATUS: pending-upgrade" in run([command.rstrip() + " --dry-run=server"], tmp_path)


def test_docs_release_before_an_uninstall(tmp_path: Path) -> None:
    (block,) = blocks("docs/operations.md", "By hand, from a checkout", "## Reasons")
    assert "--dry-run" in block
    run([block], tmp_path)
