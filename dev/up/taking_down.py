"""`make down`: ends what `make up` started."""

from __future__ import annotations

import os
import sys

from cluster.console import say, step
from cluster.settings import find_layout
from up import access, forwarding, release, target
from up.commands import ROOT, failure, run, stream


def take_down() -> None:
    """End port-forwards and remove the cluster that we made; from a cluster that was given only the release goes.

    Raises ClusterError when something is left, or when a given cluster needs CONFIRM=yes first.
    """
    known = target.remembered()
    ended = forwarding.end_all()
    if ended:
        say(f"  {ended} port-forwards ended")
    if known is not None and known.kind == "given":
        if os.environ.get("CONFIRM") != "yes":
            raise failure(
                f"the cluster {known.context} was given, not made by `make up`: it stays",
                "To uninstall Cronwright from it (tasks, database volume and CRDs stay): make down CONFIRM=yes",
            )
        with step("helm uninstall"):
            release.uninstall(known)
    elif known is not None and known.kind == "kind":
        with step("kind cluster deleted"):
            run(["kind", "delete", "cluster", "--name", "cronwright"])
    # Also without a note of ours: another checkout may have made it, and there is one to a machine.
    built = (known is None or known.kind == "built") and find_layout().state.exists()
    if built and stream([sys.executable, ROOT / "dev" / "cluster", "down"]) != 0:
        raise failure("the local cluster left something behind", "See above; python3 dev/cluster down repeats it.")
    target.RECORD.unlink(missing_ok=True)
    access.ENV_FILE.unlink(missing_ok=True)
