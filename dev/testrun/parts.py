"""The parts of `make test`, in their order, and what each needs first.

Cheap parts come first, so that a slip shows within seconds. The binaries of the local cluster take minutes to compile
on a new machine: that is begun at the start, at low priority, while the parts that need no cluster run. Where they are
there, the cluster comes up early, and parts that mostly wait run beside those that compute.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.console import say, step
from testrun import environment, results
from testrun.background import Background
from up import tools
from up.commands import ROOT, failure, read_pairs, stream

LOGS = ROOT / ".local" / "log"
ENV_FILE = ROOT / ".local" / "env"

KUBE = "tests/integration/kube"
ABSENCE, CHAOS = "tests/e2e/test_absence.py", "tests/e2e/test_chaos.py"
"""These take away the operator and the database, so nothing else that needs them may run beside."""
OUTAGE = "tests/e2e/test_outage.py"
"""An hour, on a release of its own."""
LIFECYCLE = "tests/e2e/test_helm_lifecycle.py"
"""Minutes, one step after another, on a release of its own: it may run beside the absence."""
NOT_AMONG_OTHERS = tuple(f"--ignore={file}" for file in (ABSENCE, CHAOS, OUTAGE, LIFECYCLE))

CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "direction of imports": ["lint-imports"],
    # What cannot be imported is told now and not in ten minutes; and what pytest compiles is there for all parts.
    "every test is found": ["pytest", "--collect-only", "-qq", "-p", "no:xdist", "tests"],
}


@dataclass(frozen=True)
class Part:
    """One line of the table: `run` returns a note for it and raises ClusterError when the part fails."""

    name: str
    what: str
    run: Callable[[Background], str]
    needs: tuple[str, ...] = ()
    begin: Callable[[Background], None] | None = None
    """Begins it beside other parts; `run` then waits for it."""
    after: tuple[str, ...] = ()
    """It is begun once these are done, where they are run as well: too much at once makes time-outs."""
    by_name_only: bool = False
    """Left out where no part is named: it takes minutes."""


def needed(names: Iterable[str]) -> list[Part]:
    """The named parts with all that they need, in an order in which each comes after what it needs."""
    by_name = {part.name: part for part in ALL}
    wanted: set[str] = set()

    def want(name: str) -> None:
        wanted.add(name)
        for other in by_name[name].needs:
            want(other)

    for name in names:
        want(name)
    order = list(ALL)
    if not tools.must_build():
        # With nothing to compile the cluster is up in half a minute, and what runs beside can begin. The quick tests
        # come before it: within seconds, as long as nothing else wants the processor.
        order.insert(order.index(by_name["unit"]) + 1, order.pop(order.index(by_name["cluster"])))
    return [part for part in order if part.name in wanted]


def begin_aside(ordered: Iterable[Part], done: Collection[str], background: Background) -> None:
    """Begins each part that can run beside others, once all that it needs is there; the next one runs by itself."""
    to_come = [part for part in ordered if part.name not in done]
    names = {part.name for part in to_come}
    for part in to_come[1:]:
        if part.begin is not None and not names & {*part.needs, *part.after}:
            part.begin(background)


def _environment(_: Background) -> str:
    return environment.make_environment()


def _postgresql(_: Background) -> str:
    return environment.make_postgresql()


def _compile(background: Background) -> str:
    if not tools.must_build():
        return "nothing to compile"
    background.start()
    return "begun in the background"


def _lint(_: Background) -> str:
    failed = []
    # All of them run, so that one round shows everything that is wrong; side by side, as one takes most of the time.
    begun = {
        title: subprocess.Popen(
            [environment.VENV / "bin" / program, *arguments],
            cwd=ROOT,
            env=os.environ | environment.BYTECODE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for title, (program, *arguments) in CHECKS.items()
    }
    for title, process in begun.items():
        with step(title) as current:
            printed, _ = process.communicate()
            if process.returncode != 0:
                failed.append(title)
                current.detail = "FAILED"
        if process.returncode != 0:
            say(printed.rstrip())
    if failed:
        todo = "`.venv/bin/ruff check --fix . && .venv/bin/ruff format .` repairs most of style; the rest stands above."
        raise failure(f"lint: {', '.join(failed)}", todo)
    return f"{len(CHECKS)} checks"


def _cluster(background: Background) -> str:
    background.wait()
    if stream([sys.executable, ROOT / "dev" / "up"]) != 0:
        raise failure("the cluster with Cronwright on it did not come up", "See above; `make up` repeats just this.")
    return ""


def _command(name: str, arguments: Iterable[str]) -> tuple[list[str | Path], dict[str, str], Path]:
    """pytest's command, its environment, and where its report will be."""
    report = LOGS / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    # A caller's own variables win over those of the last `make up`.
    written = read_pairs(ENV_FILE.read_text()) if ENV_FILE.exists() else {}
    env = {key: value for key, value in written.items() if key not in os.environ}
    options = ["--durations=5", f"--junitxml={report}", "-o", "junit_family=xunit2"]
    return (
        [environment.PYTHON, "-m", "pytest", *arguments, *options],
        tools.paths() | env | environment.BYTECODE,
        report,
    )


def _begin(name: str, *arguments: str) -> Callable[[Background], None]:
    """Begins pytest beside other parts."""

    def begin(background: Background) -> None:
        if not background.began(name):
            command, env, _ = _command(name, arguments)
            background.begin(name, command, env)

    return begin


def _pytest(name: str, *arguments: str) -> Callable[[Background], str]:
    """A part that runs pytest with its output visible, and fails when a test fails or none ran."""

    def run(background: Background) -> str:
        background.wait()
        code, report = _run_pytest(name, arguments, background)
        return str(_counts(name, arguments[0], code, report))

    return run


def _waiting(name: str, what: str, tests: str, *, after: tuple[str, ...] = ()) -> Part:
    """A part on the cluster that mostly waits, and so is begun beside others."""
    arguments = (name, tests, "-v")
    needs = ("environment", "cluster")
    return Part(name, what, _pytest(*arguments), needs, begin=_begin(*arguments), after=after)


def _run_pytest(name: str, arguments: tuple[str, ...], background: Background) -> tuple[int, Path]:
    """Runs pytest, or waits for it where it was begun; its exit code, and where its report is."""
    if background.began(name):
        return background.finish(name), LOGS / f"{name}.xml"
    command, env, report = _command(name, arguments)
    return stream(command, env=env), report


def _counts(part: str, tests: str, code: int, report: Path) -> results.Counts:
    if code == 5:
        raise failure(f"{part}: pytest found no test in {tests}")
    if code != 0:
        raise failure(f"{part}: pytest ended with exit code {code}", f"Run it alone: python3 dev/testrun {part}")
    return results.read_counts(report)


def _unit(_: Background) -> str:
    """Two processes, one half each: quicker than two workers, which both collect every test and report each by message.

    Only the first needs the API's web framework, which takes two seconds to import. What is tested with random input
    is the part `property`.
    """
    both = ("-m", "not hypothesis", "-p", "no:xdist")
    smaller = ("tests/unit/api", "tests/unit/dev")
    first = (*smaller, *both)
    second = ("tests/unit", *(f"--ignore={folder}" for folder in smaller), *both)
    beside = Background()
    try:
        _begin("unit-first", *first)(beside)
        second_end = _run_pytest("unit", second, beside)
        first_end = _run_pytest("unit-first", first, beside)
    finally:
        beside.end()
    return str(_counts("unit", second[0], *second_end) + _counts("unit", first[0], *first_end))


def _quick(name: str, *arguments: str) -> Callable[[Background], str]:
    """Like `_pytest`, for parts that need nothing of what is being compiled."""
    run = _pytest(name, *arguments)
    return lambda _: run(Background())


def _rights(background: Background) -> str:
    # After `make up`, which writes it where the cluster is one of ours: nobody else's API server shows us its log.
    written = read_pairs(ENV_FILE.read_text()) if ENV_FILE.exists() else {}
    if "CRONWRIGHT_AUDIT_LOG" not in written and "CRONWRIGHT_AUDIT_LOG" not in os.environ:
        return "not checked: this cluster's API server writes no audit log that can be read from here"
    return _pytest("rights", "tests/rights")(background)


ALL: tuple[Part, ...] = (
    Part("environment", ".venv from the lock file", _environment),
    Part("compile", "the cluster's binaries", _compile),
    Part("lint", "style, types, direction of imports, every test found", _lint, ("environment",)),
    Part("unit", "no socket, no database", _unit, ("environment",)),
    # Hypothesis marks its tests; they take as many tries as they are given, and so the time of a thousand others.
    Part(
        "property",
        "invariants, with random input",
        _quick("property", "tests/unit", "-m", "hypothesis", "-n2"),
        ("environment",),
    ),
    Part(
        "simulation",
        "the whole operator in a simulated cluster",
        _quick("simulation", "tests/simulation", "-n2"),
        ("environment",),
    ),
    Part("postgresql", "server binaries for the tests' own servers", _postgresql),
    # Four at once on two processors: half of the time these wait for servers, and for time-outs.
    Part(
        "integration",
        "on a real PostgreSQL, over real sockets",
        _quick("integration", "tests/integration", "-n4", f"--ignore={KUBE}"),
        ("environment", "postgresql"),
    ),
    Part(
        "contract",
        "chart, CRDs, OpenAPI, cron",
        _pytest("contract", "tests/contract", "-n2"),
        ("environment", "compile"),
    ),
    Part("cluster", "a cluster with the chart installed", _cluster, ("compile",)),
    # Before the absence is waited for: neither the installed operator nor its database has a part in these.
    # By files: fixtures of a module begin operators, and the same ones in two workers would meet.
    Part("kube", "on a real API server", _pytest("kube", KUBE, "-n2", "--dist=loadfile"), ("environment", "cluster")),
    _waiting("absence", "operator or database away", ABSENCE),
    # Most of the time these wait: for a full minute, for a retry's delay. Each has a namespace of its own.
    Part(
        "e2e",
        "through the installed chart",
        _pytest("e2e", "tests/e2e", "-n10", "--dist=worksteal", "-v", *NOT_AMONG_OTHERS),
        ("environment", "cluster"),
    ),
    _waiting("lifecycle", "a release from its installation to its end", LIFECYCLE, after=("integration",)),
    Part(
        "outage",
        "an hour without PostgreSQL",
        _pytest("outage", OUTAGE, "-v"),
        ("environment", "cluster"),
        by_name_only=True,
    ),
    # What the parts before it asked of the API server, against what the chart grants.
    Part("rights", "every right used, none missing", _rights, ("absence", "lifecycle", "e2e")),
    # Last: an API server that starts again forbids what it will allow a moment later, and that is no right missing.
    Part("chaos", "parts ended by SIGKILL", _pytest("chaos", CHAOS, "-v"), ("environment", "cluster")),
)
