"""The command `kubectl-cronwright`, which kubectl runs as `kubectl cronwright`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cronwright_core.plugin import rest
from cronwright_core.plugin.actions import cancel, parse_variables, set_suspend, trigger
from cronwright_core.plugin.errors import FAILED, PluginError
from cronwright_core.plugin.history import history, next_runs
from cronwright_core.plugin.kubectl import Kubectl, connection_options, find_kubectl
from cronwright_core.plugin.logs import LogOptions, logs
from cronwright_core.plugin.output import note

_EPILOG = f"""\
Tasks are changed with kubectl's own credentials. History and output are read from the REST API that {rest.URL_VARIABLE}
and {rest.TOKEN_VARIABLE} name; without it, from the Jobs and Pods that the cluster still has, which is said.

exit codes: 0 done, 1 could not be done, 2 wrong usage, 3 the run that was waited for did not succeed, 4 it had not
ended in time
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the plugin; `argv` defaults to the process's own. Returns the exit code."""
    given = _parser().parse_args(argv)
    try:
        return _run(given)
    except PluginError as error:
        note(f"error: {error}")
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `| head` has seen enough; what is flushed at exit must not meet the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(given: argparse.Namespace) -> int:
    options = connection_options(
        namespace=given.namespace, context=given.context, kubeconfig=given.kubeconfig, as_user=given.as_user
    )
    kubectl = Kubectl(find_kubectl(), tuple(options))
    match given.command:
        case "trigger":
            variables = parse_variables(given.env)
            return trigger(kubectl, given.name, variables, wait=given.wait, seconds=given.timeout)
        case "cancel":
            return cancel(kubectl, given.execution)
        case "pause" | "resume":
            return set_suspend(kubectl, given.name, given.command == "pause")
        case "next":
            return next_runs(kubectl, given.name, count=given.count, headers=not given.no_headers)
    api = rest.connect(given.server, given.token)
    if given.command == "history":
        return history(
            kubectl, api, given.name, limit=given.limit, headers=not given.no_headers, as_json=given.output == "json"
        )
    options_of_log = LogOptions(follow=given.follow, error=given.error, tail=given.tail, attempt=given.attempt)
    return logs(kubectl, api, given.target, options_of_log)


def _parser() -> argparse.ArgumentParser:
    shared = _connection()
    parser = argparse.ArgumentParser(
        prog="kubectl cronwright",
        description="Runs, shows and controls ScheduledTasks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_connection(default=None)],
    )
    parser.add_argument("-V", "--version", action="version", version=f"kubectl-cronwright {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, words: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        text = words[0].upper() + words[1:] + "."
        return commands.add_parser(name, help=words, description=text, parents=[shared, *parents])

    one = add("trigger", "run a task once, now; prints the execution's id")
    one.add_argument("name", metavar="NAME")
    one.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of this run alone; repeatable"
    )
    one.add_argument("--wait", action="store_true", help="until it has ended; the exit code tells how")
    one.add_argument(
        "--timeout", type=_seconds, default=3600.0, metavar="SECONDS", help="how long to wait at most (3600)"
    )
    one = add("logs", "print what an execution wrote, or a task's newest one", _reading())
    one.add_argument("target", metavar="NAME|EXECUTION")
    one.add_argument("-f", "--follow", action="store_true", help="go on until it has ended")
    one.add_argument("--error", action="store_true", help="standard error instead of standard output")
    one.add_argument("--tail", type=_count, metavar="N", help="the last N lines only; not with --follow")
    one.add_argument("--attempt", type=_count, metavar="N", help="one attempt only, counted from 1")
    one = add("history", "list the newest executions of a task", _reading(), _table())
    one.add_argument("name", metavar="NAME")
    one.add_argument("--limit", type=_page, default=20, metavar="N", help="at most N (20; up to 100)")
    one.add_argument("-o", "--output", choices=("table", "json"), default="table", help="the form (table)")
    add("pause", "hold back scheduled runs; what runs goes on").add_argument("name", metavar="NAME")
    add("resume", "let scheduled runs come again; missed ones do not").add_argument("name", metavar="NAME")
    add("cancel", "end an execution as CANCELLED").add_argument("execution", metavar="EXECUTION")
    one = add("next", "show when a task runs next, and what clock changes do to it", _table())
    one.add_argument("name", metavar="NAME")
    one.add_argument("--count", type=_page, default=5, metavar="N", help="how many runs (5; up to 100)")
    return parser


def _connection(default: object = argparse.SUPPRESS) -> argparse.ArgumentParser:
    """kubectl's own options, before or behind the command."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-n", "--namespace", default=default, help="the namespace, as for kubectl")
    shared.add_argument("--context", default=default, help="the context of the kubeconfig")
    shared.add_argument("--kubeconfig", default=default, help="the kubeconfig file")
    shared.add_argument("--as", dest="as_user", default=default, metavar="USER", help="the user to impersonate")
    return shared


def _reading() -> argparse.ArgumentParser:
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--server", metavar="URL", help=f"the REST API ({rest.URL_VARIABLE})")
    reading.add_argument(
        "--token", help=f"its bearer token; better {rest.TOKEN_VARIABLE}, as arguments can be read in ps"
    )
    return reading


def _table() -> argparse.ArgumentParser:
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--no-headers", action="store_true", help="without the first line")
    return table


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _page(text: str) -> int:
    number = _count(text)
    if number > 100:
        raise argparse.ArgumentTypeError("must not be more than 100")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


def _version() -> str:
    try:
        return version("cronwright")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
