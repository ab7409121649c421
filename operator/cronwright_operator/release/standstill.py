"""Brings a running operator to a standstill, as it would undo a release at once: its Lease is taken from it.

The operator finds that somebody else holds the Lease, stops writing and becomes a candidate. It is not ended: once our
Lease has run out it is active again, unless it has been uninstalled by then.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from cronwright_core.domain.times import to_rfc3339
from cronwright_core.kube.client import KubeClient
from cronwright_core.kube.errors import KubeConflict, KubeNotFound
from cronwright_core.kube.resources import LEASES
from cronwright_operator.leadership import RENEW_DEADLINE_SECONDS, REQUEST_SECONDS

HOLDER = "cronwright-release"
HOLD_SECONDS = 60
"""How long no operator starts, once the Lease is ours: longer than Helm takes to delete a Deployment after its hook."""
SETTLE_SECONDS = RENEW_DEADLINE_SECONDS + REQUEST_SECONDS
"""By then the operator's own right to write has run out, and what it had sent just before has been answered (of an API
server that takes longer, running the command again repairs what it undid)."""
_ATTEMPTS = 20


async def stand_still(client: KubeClient, namespace: str, name: str, now: datetime) -> str | None:
    """Takes the Lease and waits until its last holder has stopped; returns who that was, None if nobody was.

    Raises:
        KubeConflict: the operator renewed it each time that we tried, which chance alone does not explain.
        KubeError
    """
    for attempt in range(_ATTEMPTS):
        try:
            lease = await client.get(LEASES, namespace, name)
        except KubeNotFound:
            return None
        holder = lease["spec"].get("holderIdentity") or None
        lease["spec"] |= {
            "holderIdentity": HOLDER,
            "leaseDurationSeconds": HOLD_SECONDS,
            "renewTime": to_rfc3339(now)[:-1] + ".000000Z",
            "leaseTransitions": int(lease["spec"].get("leaseTransitions") or 0) + 1,
        }
        try:
            await client.replace(LEASES, namespace, name, lease)
        except KubeConflict:
            # It was renewed between our two requests; it is every two seconds only.
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if holder not in (None, HOLDER):
            await asyncio.sleep(SETTLE_SECONDS)
        return holder
    raise AssertionError("unreachable")
