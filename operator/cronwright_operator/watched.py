"""Which namespaces are this operator's to judge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence

from cronwright_core.kube.ports import Listing, ListWatchClient, WatchEvent
from cronwright_core.kube.resources import Resource


class AllBut(Collection[str | None]):
    """Every namespace but these, for `is_watched`; an operator of another installation serves these."""

    def __init__(self, ignored: Sequence[str]) -> None:
        self._ignored = frozenset(ignored)

    def __contains__(self, namespace: object) -> bool:
        return namespace is not None and namespace not in self._ignored

    def __iter__(self) -> Iterator[str | None]:
        raise TypeError("the namespaces of a cluster are not known here")

    def __len__(self) -> int:
        raise TypeError("the namespaces of a cluster are not known here")


class WithoutNamespaces:
    """A `ListWatchClient` that leaves out some namespaces where all are asked for; the API server leaves them out."""

    def __init__(self, client: ListWatchClient, ignored: Sequence[str]) -> None:
        self._client = client
        self._selector = ",".join(f"metadata.namespace!={name}" for name in sorted(ignored))

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        return await self._client.list(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=self._narrow(namespace, field_selector),
        )

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        return self._client.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=self._narrow(namespace, field_selector),
        )

    def _narrow(self, namespace: str | None, selector: str) -> str:
        return ",".join(part for part in (selector, self._selector if namespace is None else "") if part)


def is_watched(namespaces: Collection[str | None], namespace: str) -> bool:
    """Whether a namespace is among those that are watched; None among them stands for all.

    Rows of other namespaces are left alone: `watchNamespaces` may have been narrowed, and what nobody may read there is
    not for that reason gone.
    """
    return None in namespaces or namespace in namespaces
