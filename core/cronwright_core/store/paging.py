"""Pages of lists: numbers from clients to LIMIT and OFFSET that PostgreSQL takes."""

from __future__ import annotations

_MAX_OFFSET = 2**62


def offset_of(page: int, size: int) -> int:
    """Rows to skip before page `page` (from 1). A page beyond all reason skips as much as PostgreSQL can count."""
    return min((max(page, 1) - 1) * size, _MAX_OFFSET)
