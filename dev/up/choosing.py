"""Which cluster is used, and bringing it to life: the rules are dev/cluster's own."""

from __future__ import annotations

import os
import sys

from cluster.console import say
from up.commands import ROOT, failure, read_pairs, run, stream
from up.target import Target

# Our clusters by their contexts: also when a kubeconfig that names one of them is given.
_OURS = {"cronwright-dev": "built", "kind-cronwright": "kind"}


def choose_cluster() -> Target:
    """The cluster to use, running and healthy: a kubeconfig that is given, else kind, else one built from Go modules.

    Raises ClusterError when the given one is not ours and was not allowed, or none can be had.
    """
    command = [sys.executable, ROOT / "dev" / "cluster"]
    pairs = read_pairs(run([*command, "choose"], timeout_seconds=900))
    kind = _OURS.get(pairs["CONTEXT"], pairs["KIND"])
    target = Target(pairs["KUBECONFIG"], pairs["CONTEXT"], kind)
    say(f"  cluster: {target.context} ({kind})")
    if kind == "built" and stream([*command, "up"]) != 0:
        raise failure("the local cluster did not come up", "See above. `make down` and `make up` start it afresh.")
    # What follows, the tests included, means this cluster.
    os.environ["KUBECONFIG"] = target.kubeconfig
    return target
