"""Which namespaces are this operator's to judge."""

from __future__ import annotations

from collections.abc import Collection


def is_watched(namespaces: Collection[str | None], namespace: str) -> bool:
    """Whether a namespace is among those that are watched; None among them stands for all.

    Rows of other namespaces are left alone: `watchNamespaces` may have been narrowed, and what nobody may read there is
    not for that reason gone.
    """
    return None in namespaces or namespace in namespaces
