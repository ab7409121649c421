"""How far an execution is, from what its newest Pod prints and from that Pod's annotation. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from cronwright_core.domain.cluster import PodFacts
from cronwright_core.domain.execution import Attempt
from cronwright_core.domain.progress import MAX_LINE_LENGTH, Progress, Said, parse_annotation, parse_line

MIN_PERIOD = timedelta(seconds=2)
"""Progress alone is written so often at most, however often a program speaks of it."""
_MAX_LINES = 200
_KEYWORD = re.compile("progress|进度".encode(), re.IGNORECASE)


def said_in(lines: bytes) -> Said | None:
    """What the last lines that speak of progress say together; None: none does. Looks at few of them, newest first."""
    if not _KEYWORD.search(lines):
        return None
    said: Said | None = None
    speaking = (line for line in reversed(lines.split(b"\n")) if len(line) <= MAX_LINE_LENGTH and _KEYWORD.search(line))
    for _, line in zip(range(_MAX_LINES), speaking, strict=False):
        earlier = parse_line(line.decode("utf-8", "replace"))
        if earlier is not None:
            said = earlier if said is None else said.over(earlier)
            if said.step is not None and said.percent is not None:
                break
    return said


def progress_of(attempts: Sequence[Attempt], pods: Iterable[PodFacts], printed: Mapping[str, Said]) -> Progress | None:
    """The progress of the last attempt; `printed` is what each Pod's output has said, by uid.

    The annotation counts before the output: who sets it means it. None: there is no attempt yet.
    """
    if not attempts:
        return None
    last = attempts[-1]
    said = printed.get(last.pod_uid)
    annotation = next((pod.progress for pod in pods if pod.uid == last.pod_uid), None)
    annotated = parse_annotation(annotation) if annotation is not None else None
    if annotated is not None:
        said = annotated.over(said)
    return Progress(last.number) if said is None else Progress(last.number, said.step, said.percent)
