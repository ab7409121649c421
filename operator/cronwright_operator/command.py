"""`cronwright operator`: reads the settings, sets up logging, runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from cronwright_core.kube.client import KubeConfigError
from cronwright_operator import interpreter
from cronwright_operator.json_log import configure
from cronwright_operator.leadership import LeadershipLost
from cronwright_operator.main import run_operator
from cronwright_operator.observability.metrics import OperatorMetrics
from cronwright_operator.settings import OperatorSettings


def run(argv: Sequence[str]) -> int:
    """Runs the operator until SIGTERM; returns the exit code. All settings come from the environment."""
    if argv:
        print(
            "usage: cronwright operator\n"
            "Runs the operator. Settings are environment variables (CRONWRIGHT_*, DATABASE_URL).",
            file=sys.stdout if argv[0] in ("-h", "--help") else sys.stderr,
        )
        return 0 if argv[0] in ("-h", "--help") else 2
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in problem["loc"])
            print(f"cronwright operator: the setting {name}: {problem['msg']}", file=sys.stderr)
        return 1
    interpreter.share()
    interpreter.collect_less()
    configure(settings.log_level)
    metrics = OperatorMetrics()
    while True:
        try:
            interpreter.run(run_operator(settings, metrics))
        except KubeConfigError as error:
            print(f"cronwright operator: {error}", file=sys.stderr)
            return 1
        except LeadershipLost as lost:
            # Everything of this life has ended; a new one starts from the cluster, as any other candidate. Not by a new
            # process: the kubelet would wait ever longer between restarts, up to five minutes.
            logging.getLogger(__name__).warning("the lease is lost, starting anew: %s", lost)
        else:
            return 0
