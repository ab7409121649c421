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
from dataclasses import dataclass, field, replace
from typing import Any

from cronwright_core.domain.cluster import PodFacts
from cronwright_core.kube.errors import KubeError, KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import Json, ObjectClient
from cronwright_core.kube.resources import SECRETS
from cronwright_operator.recording.redaction import Redactor, literals_of_env

logger = logging.getLogger(__name__)

_KEPT = 2000


@dataclass(slots=True)
class _Known:
    """Of a Job: the values that its containers may have been given, and for which of its Pods they have been read."""

    values: set[str]
    redactor: Redactor
    pods: set[str] = field(default_factory=set)


class Redaction:
    """Gives each Job its `Redactor`. Belongs to one event loop.

    A container has the values that its Secrets had when it began, so they are read once it has: before, a Secret may
    not be there yet, and each attempt may find another value. What was seen for one attempt stays known for the next.
    """

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
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def of(self, job_uid: str, pod_uid: str, *, started: bool = True) -> Redactor:
        """The Job's redactor, good for the output of this Pod. `started`: its container has begun, so that what its
        Secrets hold now need not be asked for again.

        Raises:
            KubeError: its Secrets cannot be read now, or it is not known any more. Nothing may be stored without them.
        """
        known = self._known.get(job_uid)
        if known is not None and (self._client is None or pod_uid in known.pods):
            self._known.move_to_end(job_uid)
            return known.redactor
        body = self._body_of(job_uid)
        if body is None:
            raise KubeUnreachable("the Job is not there any more, so it is unknown what to take out of its output")
        env = env_of(body)
        values = literals_of_env(env) if self._variables else set()
        if self._client is not None:
            values |= await _secret_values(self._client, body["metadata"]["namespace"], env)
        known = self._learn(job_uid, values)
        if started:
            known.pods.add(pod_uid)
        return known.redactor

    def _learn(self, job_uid: str, values: set[str]) -> _Known:
        known = self._known.get(job_uid)
        if known is None or not values <= known.values:
            before, pods = (known.values, known.pods) if known is not None else (set(), set())
            values = values | before
            known = self._known[job_uid] = _Known(values, Redactor(values, self._patterns), pods)
        self._known.move_to_end(job_uid)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known

    async def conceal(self, job_uid: str, pods: Iterable[PodFacts]) -> list[PodFacts]:
        """The Pods of a Job with what programs say of themselves redacted; withheld while Secrets cannot be read."""
        return [await self._conceal(job_uid, pod) for pod in pods]

    async def _conceal(self, job_uid: str, pod: PodFacts) -> PodFacts:
        if not (pod.terminated_message or pod.output_summary or pod.progress):
            return pod  # most of the time; above all it may not have started, and then it is too early to read Secrets
        text: Callable[[str | None], str | None]
        started = pod.start_time is not None or pod.ended
        try:
            text = (await self.of(job_uid, pod.uid, started=started)).text
        except KubeError as error:
            logger.warning("messages of Pod %s are withheld, as its Secrets cannot be read: %s", pod.name, error)
            text = _withheld
        return replace(
            pod,
            terminated_message=text(pod.terminated_message),
            output_summary=text(pod.output_summary),
            progress=text(pod.progress),
        )


async def _secret_values(client: ObjectClient, namespace: str, env: Iterable[Mapping[str, Any]]) -> set[str]:
    """Raises KubeError also where a Secret or key is missing that a container cannot do without: it had a value when
    the container began, and nobody knows which."""
    values: set[str] = set()
    for name, keys in _references(env).items():
        try:
            data = (await client.get(SECRETS, namespace, name)).get("data") or {}
        except KubeNotFound:
            data = {}
        for key, needed in keys.items():
            if key in data:
                values |= _decoded(data[key])
            elif needed:
                raise KubeUnreachable(f"the Secret {name} has no key {key} any more, so its value is unknown")
    return values


def _references(env: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, bool]]:
    """By Secret and key: whether a container cannot start without it."""
    wanted: dict[str, dict[str, bool]] = {}
    for variable in env:
        source = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if source:
            keys = wanted.setdefault(source["name"], {})
            keys[source["key"]] = keys.get(source["key"], False) or not source.get("optional")
    return wanted


def _decoded(value: str) -> set[str]:
    try:
        return {base64.b64decode(value).decode("utf-8", "replace")}
    except binascii.Error:
        return set()


def _withheld(_: str | None) -> None:
    return None


def env_of(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The variables of all containers of a Job's Pods."""
    spec = job["spec"]["template"]["spec"]
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return [variable for container in containers for variable in container.get("env") or ()]
