"""The table of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.launch.scenarios import Result

COLUMNS = (
    ("Job", "made"),
    ("Job seen", "jobs"),
    ("admitted", "admitted"),
    ("Pod", "pods"),
    ("CronJob status", "covered"),
)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share lies; `values` in ascending order."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def table(rate: str, results: Sequence[Result]) -> str:
    """Seconds after the tick: median / p99 / all, for each way and number. A Job is there when the API server says so
    in its audit log; all else is when a watch told of it."""
    head = "| due | launched by | " + " | ".join(f"tick → {title}" for title, _ in COLUMNS) + " | Jobs |"
    lines = [f"controller-manager: {rate}", "", head, "| --- " * (len(COLUMNS) + 3) + "|"]
    for result in results:
        cells = []
        for _, what in COLUMNS:
            late = result.lateness(what)
            text = f"{quantile(late, 0.5):.2f} / {quantile(late, 0.99):.2f} / {late[-1]:.2f}" if late else "never"
            cells.append(text if not late or len(late) >= result.due else f"{text} (only {len(late)})")
        lines.append(f"| {result.due} | {result.way} | {' | '.join(cells)} | {len(result.made)} |")
    return "\n".join((*lines, "", *_processors(results)))


def _processors(results: Sequence[Result]) -> list[str]:
    """Seconds of processor time from the tick: until the last Job / until the last Pod and CronJob status. And what the
    same small piece of work needed beside it: the speed of the machine at that time."""
    names = list(dict.fromkeys(name for result in results for name in result.used[1]))
    lines = [
        "Processor seconds, tick → last Job / → last Pod and status:",
        "",
        f"| due | launched by | {' | '.join(names)} | piece of work (ms) |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for result in results:
        cells = [" / ".join(f"{used[name]:.1f}" if name in used else "-" for used in result.used) for name in names]
        lines.append(f"| {result.due} | {result.way} | {' | '.join(cells)} | {result.piece * 1000:.3f} |")
    return lines
