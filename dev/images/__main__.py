"""The command line: `python3 dev/images build-base | build NAME DOCKERFILE CONTEXT | ensure`.

Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

if sys.version_info < (3, 11):  # noqa: UP036 - an older system Python must get a sentence, not a traceback
    sys.exit("python3 dev/images needs Python 3.11 or newer, this is " + sys.version.split()[0])

from cluster.console import complain, say  # noqa: E402
from cluster.errors import ClusterError  # noqa: E402
from cluster.settings import Layout, find_layout  # noqa: E402
from images.base import archive_of, ensure_base  # noqa: E402
from images.builder import build_image  # noqa: E402
from images.product import ensure_images  # noqa: E402


def main(arguments: list[str]) -> int:
    """Runs one command; answers 0, or 1 after saying what is wrong."""
    options = _build_parser().parse_args(arguments)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            lines = _run(options, find_layout())
    except ClusterError as error:
        complain(f"error: {error.message}")
        if error.advice:
            complain(error.advice)
        return 1
    for line in lines:
        say(line)
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 dev/images", description="Container images without a registry.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build-base", help="make the Debian base image")
    build = commands.add_parser("build", help="build a Dockerfile; prints IMAGE= and ARCHIVE=")
    build.add_argument("name")
    build.add_argument("dockerfile", type=Path)
    build.add_argument("context", type=Path)
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    ensure = commands.add_parser("ensure", help="build what an installation needs and bring it to the node")
    ensure.add_argument(
        "--kind", choices=("built", "kind"), default="built", help="the cluster: as `dev/cluster choose` says"
    )
    return parser


def _run(options: argparse.Namespace, layout: Layout) -> list[str]:
    if options.command == "build-base":
        name = ensure_base(layout)
        return [f"IMAGE={name}", f"ARCHIVE={archive_of(layout, name)}"]
    if options.command == "build":
        if any("=" not in argument for argument in options.build_arg):
            raise ClusterError("--build-arg takes NAME=VALUE")
        arguments = dict(argument.split("=", 1) for argument in options.build_arg)
        image = build_image(layout, options.name, options.dockerfile, options.context, arguments)
        return [f"IMAGE={image.name}", f"ARCHIVE={image.archive}"]
    images = ensure_images(layout, options.kind)
    return [f"{name.upper()}_IMAGE={image}" for name, image in images.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
