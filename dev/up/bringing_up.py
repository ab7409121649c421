"""`make up`, step by step; each prints its time, and a step that has nothing to do says so."""

from __future__ import annotations

import sys

from cluster import audit
from cluster.console import say, step
from cluster.settings import find_layout
from up import access, demo, readiness, release, summary, target
from up.choosing import choose_cluster
from up.commands import failure
from up.images import ensure_images
from up.kubectl import DEMO, SYSTEM, Kubectl
from up.rest import Rest


def bring_up() -> None:
    """Bring up everything and run the demo. Raises ClusterError at the step that failed, saying what to do."""
    say(f"Cronwright on {sys.platform}: cluster, images, chart, demo")
    chosen = choose_cluster()
    chosen.remember()
    kubectl = Kubectl(chosen.kubeconfig, chosen.context)
    images = ensure_images(chosen)
    with step("chart") as current:
        release.install(chosen, kubectl, images, current)
    with step("API, operator, database") as current:
        readiness.wait_ready(kubectl, current)
    with step("addresses and tokens") as current:
        url, database_url = access.open_ports(chosen, kubectl)
        tokens, made = access.ensure_tokens(kubectl, url)
        env = {
            "CRONWRIGHT_URL": url,
            **tokens,
            "CRONWRIGHT_DEMO_IMAGE": images["demo"],
            "KUBECONFIG": chosen.kubeconfig,
            "DATABASE_URL": database_url,
        }
        if chosen.kind == "built":
            env["CRONWRIGHT_AUDIT_LOG"] = str(audit.path_of(find_layout()))
        access.write_env(env)
        current.detail = f"{made} tokens made" if made else "unchanged"
    shown = _run_demo(kubectl, Rest(url, tokens["CRONWRIGHT_USER_TOKEN"]), images["demo"])
    summary.show(chosen, env, shown)


def _run_demo(kubectl: Kubectl, rest: Rest, image: str) -> list[demo.Shown]:
    with step("demo by kubectl") as current:
        demo.apply_manifests(kubectl, image)
        project_id, kubectl_task = demo.wait_registered(kubectl, current)
        current.detail = f"project {project_id}, task {kubectl_task}"
    with step("demo by REST") as current:
        rest_task = demo.create_by_rest(rest, project_id)
        demo.ensure_started(rest, kubectl_task)
        demo.ensure_started(rest, rest_task, demo.PATIENCE_SECONDS)
        current.detail = f"task {rest_task}"
    with step("first executions") as current:
        shown = [
            demo.wait_execution(rest, "kubectl", kubectl_task, current),
            demo.wait_execution(rest, "REST", rest_task, current),
        ]
        current.detail = ""
    return shown


def show_status() -> None:
    """Print the release's Pods and the demo's tasks. Raises ClusterError when there was no `make up`."""
    known = target.remembered()
    if known is None:
        raise failure("nothing was brought up from this checkout", "make up")
    kubectl = Kubectl(known.kubeconfig, known.context)
    say(f"{known.context} ({known.kind}), {access.read_env().get('CRONWRIGHT_URL', 'no address')}\n")
    say(kubectl("-n", SYSTEM, "get", "pods"))
    say(kubectl("-n", DEMO, "get", "projects,scheduledtasks,jobs"))
