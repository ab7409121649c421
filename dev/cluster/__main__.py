"""The command line: `python3 dev/cluster up|down|status|build|load-image|recycle-volumes|choose`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

# Run as a folder, Python puts the folder itself first on the path; the package is found from its parent.
sys.path[0] = str(Path(__file__).resolve().parents[1])

if sys.version_info < (3, 11):  # noqa: UP036 - an older system Python must get a sentence, not a traceback
    sys.exit("python3 dev/cluster needs Python 3.11 or newer, this is " + sys.version.split()[0])

from cluster import lifecycle, storage  # noqa: E402
from cluster.apiserver import ApiServer  # noqa: E402
from cluster.binaries import ensure_binaries  # noqa: E402
from cluster.choice import choose  # noqa: E402
from cluster.console import complain, say, step  # noqa: E402
from cluster.containerd import import_archive  # noqa: E402
from cluster.errors import ClusterError, ComponentFailed, last_lines  # noqa: E402
from cluster.packages import search_system_folders  # noqa: E402
from cluster.settings import Layout, find_layout  # noqa: E402


def main(arguments: list[str]) -> int:
    """Runs one command; answers 0, or 1 after saying what is wrong."""
    options = _build_parser().parse_args(arguments)
    search_system_folders()
    try:
        return _run(options, find_layout())
    except ClusterError as error:
        complain(f"error: {error.message}")
        if isinstance(error, ComponentFailed) and error.log is not None:
            complain(f"The last lines of {error.log}:")
            for line in last_lines(error.log):
                complain(f"    {line[:300]}")
        if error.advice:
            complain(error.advice)
        return 1
    except KeyboardInterrupt:
        complain("interrupted; `python3 dev/cluster down` takes away what has been started")
        return 130


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 dev/cluster", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, or what of it is not running")
    down = commands.add_parser("down", help="stop it and leave nothing running or mounted")
    down.add_argument("--purge", action="store_true", help="remove its data as well (binaries and images stay cached)")
    commands.add_parser("status", help="show what runs; exit code 0 if all is healthy")
    commands.add_parser("build", help="build the cluster's programs into the cache and print their folder")
    load = commands.add_parser("load-image", help="bring an image archive to the node")
    load.add_argument("archive", type=Path, help="a docker-archive, as from `docker save` or `python3 dev/images`")
    commands.add_parser("recycle-volumes", help="empty the volumes whose claims were deleted and offer them again")
    commands.add_parser("choose", help="print which cluster commands would use: KUBECONFIG, context, kind of cluster")
    return parser


def _run(options: argparse.Namespace, layout: Layout) -> int:
    if options.command == "up":
        lifecycle.up(layout)
    elif options.command == "down":
        lifecycle.down(layout, options.purge)
    elif options.command == "status":
        return 0 if lifecycle.status(layout) else 1
    elif options.command == "build":
        say(str(ensure_binaries(layout)))
    elif options.command == "load-image":
        with step("import of the image") as current:
            current.detail = ", ".join(import_archive(layout, options.archive))
    elif options.command == "recycle-volumes":
        recycled = storage.recycle_volumes(layout, ApiServer(layout))
        say(f"recycled: {', '.join(recycled) or 'none was released'}")
    elif options.command == "choose":
        # Only the answer goes to stdout: other programs read it.
        with contextlib.redirect_stdout(sys.stderr):
            choice = choose(layout)
        say(f"KUBECONFIG={choice.kubeconfig}\nCONTEXT={choice.context}\nKIND={choice.kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
