"""`python3 dev/up [up|down|status]`: what `make up`, `make down` and `make status` run."""

from __future__ import annotations

import sys
from pathlib import Path

# The development programs import each other from here: `cluster`, `images`, `testrun`, `up`.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from cluster.console import complain  # noqa: E402 - the path has to stand first
from cluster.errors import ClusterError  # noqa: E402
from cluster.packages import search_system_folders  # noqa: E402
from up import bringing_up, taking_down  # noqa: E402
from up.commands import report  # noqa: E402

VERBS = {"up": bringing_up.bring_up, "status": bringing_up.show_status, "down": taking_down.take_down}


def main(arguments: list[str]) -> int:
    """Run a verb (`up` without one); return the exit code."""
    verb = arguments[0] if arguments else "up"
    if verb not in VERBS or len(arguments) > 1:
        complain(f"usage: python3 dev/up [{'|'.join(VERBS)}]")
        return 2
    search_system_folders()
    try:
        VERBS[verb]()
    except ClusterError as error:
        report(error)
        return 1
    except KeyboardInterrupt:
        complain("\nstopped; run the command again to go on where it was")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
