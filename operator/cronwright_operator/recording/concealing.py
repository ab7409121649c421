"""Which values are to be taken out of a Job's output: those of its literal variables and, by opt-in, of its Secrets.

The values stay in memory: they are in no log, no error and no table.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cronwright_core.domain.cluster import PodFacts
from cronwright_core.kube.errors import KubeError, KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import Json, ObjectClient
from cronwright_core.kube.resources import SECRETS
from cronwright_operator.recording.redaction import Redactor, literals_of_env

logger = logging.getLogger(__name__)

_KEPT = 2000


class Redaction:
    """Gives each Job its `Redactor`, made once. Belongs to one event loop."""

    def __init__(
        self,
        body_of: Callable[[str], Json | None],
        *,
        client: ObjectClient | None = None,
        variables: bool = True,
        patterns: Sequence[re.Pattern[bytes]] = (),
    ) -> None:
        """`body_of` gives a Job by its uid. `client` reads Secrets; None: they are not read. `variables`: the values of
        literal variables go too."""
        self._body_of = body_of
        self._client = client
        self._variables = variables
        self._patterns = tuple(patterns)
        self._made: OrderedDict[str, Redactor] = OrderedDict()

    async def of(self, job_uid: str) -> Redactor:
        """The Job's redactor.

        Raises:
            KubeError: its Secrets cannot be read now, or it is not known any more. Nothing may be stored without them.
        """
        known = self._made.get(job_uid)
        if known is not None:
            return known
        body = self._body_of(job_uid)
        if body is None:
            raise KubeUnreachable("the Job is not there any more, so it is unknown what to take out of its output")
        env = env_of(body)
        literals = literals_of_env(env) if self._variables else set()
        if self._client is not None:
            literals |= await self._secret_values(self._client, body["metadata"]["namespace"], env)
        made = self._made[job_uid] = Redactor(literals, self._patterns)
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made

    async def conceal(self, job_uid: str, pods: Iterable[PodFacts]) -> list[PodFacts]:
        """The Pods of a Job with what programs say of themselves redacted; withheld while Secrets cannot be read."""
        text: Callable[[str | None], str | None]
        try:
            text = (await self.of(job_uid)).text
        except KubeError as error:
            logger.warning("messages of Pods are withheld, as their Secrets cannot be read: %s", error)
            text = _withheld
        return [
            replace(
                pod,
                terminated_message=text(pod.terminated_message),
                output_summary=text(pod.output_summary),
                progress=text(pod.progress),
            )
            for pod in pods
        ]

    async def _secret_values(self, client: ObjectClient, namespace: str, env: Sequence[Mapping[str, Any]]) -> set[str]:
        wanted: dict[str, set[str]] = {}
        for variable in env:
            source = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if source:
                wanted.setdefault(source["name"], set()).add(source["key"])
        values: set[str] = set()
        for name, keys in wanted.items():
            try:
                data = (await client.get(SECRETS, namespace, name)).get("data") or {}
            except KubeNotFound:
                continue  # an optional one: the container has no value either
            for key in keys & data.keys():
                try:
                    values.add(base64.b64decode(data[key]).decode("utf-8", "replace"))
                except binascii.Error:
                    continue
        return values


def _withheld(_: str | None) -> None:
    return None


def env_of(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The variables of all containers of a Job's Pods."""
    spec = job["spec"]["template"]["spec"]
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return [variable for container in containers for variable in container.get("env") or ()]
