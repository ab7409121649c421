"""One page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `total` counts what the filters let through, on all pages; a page past the end is empty."""

    total: int
    page: int
    size: int
    items: tuple[Item, ...]
