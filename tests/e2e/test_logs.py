"""Output through the installed chart: what is taken out of it, and what could not be read."""

from __future__ import annotations

import pytest

from support.cluster import Rest, Space, eventually, kubectl

PASSWORD = "correct-horse-battery"


def test_secrets_are_in_neither_log_nor_summary_nor_error(space: Space, alice: Rest) -> None:
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "vault", "namespace": space.namespace},
            "stringData": {"key": "from-the-vault-1"},
        }
    )
    script = (
        "echo the password is $DB_PASSWORD; echo postgresql://app:pw-in-url@db/x; echo key $KEY >&2;"
        " printf 'failed with %s' $DB_PASSWORD > /dev/termination-log; echo last: $DB_PASSWORD >&2; exit 3"
    )
    env = [
        {"name": "DB_PASSWORD", "value": PASSWORD},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "key"}}},
    ]
    space.apply_task("leaky", script, scheduleType="Once", overrides={"env": env}, backoffLimit=1)
    (run,) = alice.ended(space.task_id("leaky"))
    id_ = run["execution_id"]
    output, errors = alice.log(id_), alice.log(id_, "error")
    assert output == ["the password is [redacted]", "postgresql://app:[redacted]@db/x"] * 2
    assert errors == ["key [redacted]", "last: [redacted]"] * 2
    everything = alice.call("GET", f"/executions/{id_}").text + alice.call("GET", f"/executions/{id_}/attempts").text
    assert PASSWORD not in everything
    assert "[redacted]" in run["error_message"]
    live = alice.call("GET", f"/executions/{id_}/logs/stream", params={"log_type": "error"}).text
    assert "from-the-vault-1" not in live
    assert "key [redacted]" in live


@pytest.mark.takes(30)
def test_a_pod_that_vanishes_leaves_a_mark_in_its_output(space: Space, alice: Rest) -> None:
    space.apply_task("torn", "echo begun; sleep 15; echo done", scheduleType="Once", backoffLimit=1)
    task_id = space.task_id("torn")
    execution = eventually(lambda: alice.executions(task_id), seconds=60, what="it to run")[0]["execution_id"]
    eventually(lambda: alice.log(execution), seconds=60, what="its first output")
    (pod,) = space.names("pods")
    # Without the Job controller's finalizer and without grace it is gone at once, and the way to its output with it.
    kubectl("patch", "-n", space.namespace, pod, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    kubectl("delete", "-n", space.namespace, pod, "--force", "--grace-period=0")
    (run,) = alice.ended(task_id)
    assert (run["status"], run["output_summary"]) == ("SUCCESS", "done")
    assert alice.data("GET", f"/executions/{execution}")["log_incomplete"] is True
    file = alice.data("GET", f"/executions/{execution}/logs/file", params={"log_type": "output"})
    first, mark, *second = file["content"]
    assert (first, second) == ("begun", ["begun", "done"])
    assert mark.startswith("[cronwright: output may be missing here: its Pod was deleted")
    assert (file["log_incomplete"], file["complete"], file["lines_count"]) == (True, True, 4)
