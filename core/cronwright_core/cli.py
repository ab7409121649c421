"""The command `cronwright`: finds its subcommands by entry point, so that it needs no import of API or operator.

A subcommand is a function `(argv) -> exit code` in the entry point group `cronwright.commands`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

GROUP = "cronwright.commands"
USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand and returns its exit code, 2 if there is no such one. `argv` defaults to the process's own."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {entry.name: entry for entry in entry_points(group=GROUP)}
    name = arguments[0] if arguments else None
    if name in ("-h", "--help", "help"):
        sys.stdout.write(_help(commands))
        return 0
    if name in ("-V", "--version"):
        sys.stdout.write(f"cronwright {_version()}\n")
        return 0
    if name is None:
        sys.stderr.write(_help(commands))
        return USAGE_ERROR
    if name not in commands:
        known = ", ".join(sorted(commands)) or "none: the package is not installed"
        sys.stderr.write(f"cronwright: unknown command {name!r}; the commands are: {known}\n")
        return USAGE_ERROR
    try:
        return int(commands[name].load()(arguments[1:]) or 0)
    except KeyboardInterrupt:
        return 130


def _help(commands: dict[str, EntryPoint]) -> str:
    names = "\n".join(f"  {name}" for name in sorted(commands)) or "  (none: the package is not installed)"
    return (
        "usage: cronwright [--version] [--help] <command> [options]\n\n"
        f"commands:\n{names}\n\n"
        "cronwright <command> --help shows a command's options.\n"
    )


def _version() -> str:
    try:
        return version("cronwright")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
