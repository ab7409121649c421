"""What `make up` shows at its end: addresses, a token, the demo's executions and their first lines, what to try."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.console import say
from up.demo import KUBECTL_TASK, Shown
from up.kubectl import DEMO
from up.target import Target


def show(target: Target, env: dict[str, str], demo: Sequence[Shown]) -> None:
    """Print the summary."""
    say(f"\nCronwright runs on {target.context}.")
    say(f"  API          {env['CRONWRIGHT_URL']}   (OpenAPI: {env['CRONWRIGHT_URL']}/openapi.json)")
    say(f"  kubeconfig   {target.kubeconfig}")
    say("  variables    .local/env   (tokens of admin, alice and bob, DATABASE_URL)")
    say(f"  a token      {env['CRONWRIGHT_USER_TOKEN']}   (alice)")

    say(f"\n  {'by':<8} {'task':>5}  {'execution':<42} {'status':<9} {'exit':>4} {'seconds':>7}")
    for item in demo:
        run = item.execution
        outcome = f"{run['status']:<9} {run['exit_code']!s:>4} {run['duration_seconds']!s:>7}"
        say(f"  {item.way:<8} {item.task_id:>5}  {run['execution_id']:<42} {outcome}")
    for item in demo:
        say(f"\n  output of {item.execution['execution_id']}:")
        for line in item.lines:
            say(f"    {line}")

    last = demo[0].execution["execution_id"]
    say("\nWhat to try next:")
    say("  set -a; . .local/env; set +a")
    say('  curl -s -H "Authorization: Bearer $CRONWRIGHT_USER_TOKEN" $CRONWRIGHT_URL/api/v1/scheduler/tasks')
    say(
        '  curl -s -H "Authorization: Bearer $CRONWRIGHT_USER_TOKEN" '
        f"$CRONWRIGHT_URL/api/v1/scheduler/executions/{last}/logs/file"
    )
    say(f"  kubectl -n {DEMO} get scheduledtasks,jobs,pods")
    say(f"  kubectl -n {DEMO} annotate scheduledtask {KUBECTL_TASK} trigger.cronwright.dev/$(date +%s)=now")
    say("  kubectl explain scheduledtask.spec")
    say("  make down")
