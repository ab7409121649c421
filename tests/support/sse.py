"""Reads server-sent events as the WHATWG's specification says (9.2.6), without the product's own code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event; `id` None: the event carried none."""

    name: str
    id: str | None
    data: str

    @property
    def json(self) -> Any:
        """The data, read as JSON."""
        return json.loads(self.data)


def iterate_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in lines without their ends; comments and unfinished events are left out."""
    name, id_, data = "", None, []
    for line in lines:
        if line == "":
            if data:
                yield Event(name or "message", id_, "\n".join(data))
            name, id_, data = "", None, []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id":
            id_ = value


def parse_events(text: str) -> list[Event]:
    """The events of a whole stream."""
    return list(iterate_events(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))
