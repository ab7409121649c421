"""Values of Secrets stay out of the record, whenever the Secret appears, changes or goes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cronwright_core.kube.errors import KubeError, KubeForbidden, KubeNotFound, KubeUnreachable
from cronwright_core.kube.ports import Json
from cronwright_core.kube.resources import Resource
from cronwright_operator.recording import concealing
from cronwright_operator.recording.concealing import Redaction
from support.builders import at, make_pod

FIRST, SECOND = "s3cret-value-1", "s3cret-value-2"


class Vault:
    """Secrets by name; `asked` counts how often one was read."""

    def __init__(self, *references: dict[str, Any], **data: str) -> None:
        self.secrets: dict[str, dict[str, str]] = {"vault": data} if data else {}
        self.asked = 0
        self.failure: KubeError | None = None
        env = [{"name": f"V{n}", "valueFrom": {"secretKeyRef": ref}} for n, ref in enumerate(references)]
        container = {"env": [*env, {"name": "DB_PASSWORD", "value": "literal-one"}]}
        self.job: Json | None = {
            "metadata": {"namespace": "team-a"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        self.redaction = self.new_operator()

    def new_operator(self) -> Redaction:
        client: Any = self
        self.redaction = Redaction(lambda _: self.job, client=client)
        return self.redaction

    async def get(self, _: Resource, namespace: str, name: str) -> Json:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        if name not in self.secrets:
            raise KubeNotFound(404, "NotFound", f'secrets "{name}" not found')
        return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in self.secrets[name].items()}}

    async def stored(self, line: str, *, pod: str = "pod-1") -> str:
        """What is stored of a line that the Pod prints."""
        return (await self.redaction.of("job", pod)).lines(f"{line}\n".encode()).decode().strip()


NEEDED = {"name": "vault", "key": "key"}
OPTIONAL = {**NEEDED, "optional": True}


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_a_secret_that_appears_after_the_job_was_first_seen() -> None:
    vault = Vault(NEEDED)

    async def scenario() -> None:
        waiting = make_pod("pod-1", waiting_reason="CreateContainerConfigError")
        assert await vault.redaction.conceal("job", [waiting]) == [waiting]
        assert vault.asked == 0, "too early: what is there now is not what the container will get"
        vault.secrets["vault"] = {"key": FIRST}
        assert await vault.stored(f"my {FIRST}") == "my [redacted]"

    run(scenario)


def test_a_secret_that_is_rotated_between_two_attempts() -> None:
    vault = Vault(NEEDED, key=FIRST)

    async def scenario() -> None:
        assert await vault.stored(f"my {FIRST}") == "my [redacted]"
        vault.secrets["vault"] = {"key": SECOND}
        assert await vault.stored(f"my {SECOND}", pod="pod-2") == "my [redacted]"
        assert await vault.stored(f"old {FIRST}", pod="pod-2") == "old [redacted]", "what was seen stays known"
        assert await vault.stored(f"late {SECOND}") == "late [redacted]"

    run(scenario)


def test_a_secret_is_read_once_for_each_pod() -> None:
    vault = Vault(NEEDED, key=FIRST)

    async def scenario() -> None:
        for _ in range(5):
            await vault.stored("line")
            await vault.stored("line", pod="pod-2")

    run(scenario)
    assert vault.asked == 2


@pytest.mark.parametrize("left", [{}, {"another": SECOND}], ids=["the Secret", "its key"])
def test_what_was_removed_while_the_program_runs_holds_its_output_back(left: dict[str, str]) -> None:
    vault = Vault(NEEDED, key=FIRST)

    async def scenario() -> None:
        assert await vault.stored(FIRST) == "[redacted]"
        vault.secrets = {"vault": left} if left else {}
        assert await vault.stored(FIRST) == "[redacted]", "who has read it knows it"
        vault.new_operator()
        with pytest.raises(KubeUnreachable, match="vault") as caught:
            await vault.stored(FIRST)
        assert FIRST not in str(caught.value)
        vault.secrets = {"vault": {"key": FIRST}}
        assert await vault.stored(FIRST) == "[redacted]"

    run(scenario)


@pytest.mark.parametrize("data", [{}, {"another": SECOND}], ids=["no Secret", "no such key"])
def test_what_a_container_can_do_without_holds_nothing_back(data: dict[str, str]) -> None:
    vault = Vault(OPTIONAL, **data)

    async def scenario() -> None:
        assert await vault.stored("plain literal-one") == "plain [redacted]"

    run(scenario)


def test_one_who_needs_it_is_enough() -> None:
    vault = Vault(OPTIONAL, NEEDED, OPTIONAL)

    async def scenario() -> None:
        with pytest.raises(KubeUnreachable):
            await vault.stored("plain")

    run(scenario)


def test_messages_are_redacted_and_withheld_while_the_secret_cannot_be_read() -> None:
    vault = Vault(NEEDED, key=FIRST)
    said = make_pod("pod-1", phase="Failed", start_time=at("10:00:01"), terminated_message=f"no: {FIRST}")
    silent = make_pod("pod-2", phase="Running", start_time=at("10:00:30"))

    async def scenario() -> None:
        vault.failure = KubeForbidden(403, "Forbidden", "secrets is forbidden")
        shown = await vault.redaction.conceal("job", [said, silent])
        assert [pod.terminated_message for pod in shown] == [None, None]
        vault.failure = None
        shown = await vault.redaction.conceal("job", [said, silent])
        assert [pod.terminated_message for pod in shown] == ["no: [redacted]", None]

    run(scenario)


def test_a_text_of_a_pod_that_has_not_started_settles_nothing() -> None:
    vault = Vault(NEEDED, key=FIRST)
    waiting = make_pod(uid="pod-1", progress=f"10% {SECOND}")

    async def scenario() -> None:
        await vault.redaction.conceal("job", [waiting])
        vault.secrets["vault"] = {"key": SECOND}
        (shown,) = await vault.redaction.conceal("job", [waiting])
        assert shown.progress == "10% [redacted]"
        vault.secrets["vault"] = {"key": "s3cret-value-3"}
        assert await vault.stored("my s3cret-value-3", pod="pod-1") == "my [redacted]"

    run(scenario)


def test_without_the_right_to_secrets_the_literals_go() -> None:
    vault = Vault(NEEDED, key=FIRST)
    vault.redaction = Redaction(lambda _: vault.job)

    async def scenario() -> None:
        assert await vault.stored(f"{FIRST} literal-one") == f"{FIRST} [redacted]"
        vault.job = None
        assert await vault.stored("literal-one", pod="pod-2") == "[redacted]"

    run(scenario)
    assert vault.asked == 0


def test_of_many_jobs_those_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concealing, "_KEPT", 2)
    vault = Vault(NEEDED, key=FIRST)

    async def scenario() -> None:
        for job in ("a", "b", "a", "c", "a"):
            await vault.redaction.of(job, f"pod of {job}")

    run(scenario)
    assert vault.asked == 3
