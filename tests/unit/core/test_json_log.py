"""The log's lines: what they are about, and what never stands in them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from cronwright_core import json_log
from cronwright_core.json_log import JsonFormatter, bind, bound, masked

FORMATTER = JsonFormatter()


def line(message: str = "said", *args: object, **extra: object) -> dict[str, Any]:
    logger = logging.getLogger("tests")
    record = logger.makeRecord("tests", logging.INFO, __file__, 1, message, args, None, extra=extra)
    text = FORMATTER.format(record)
    assert "\n" not in text
    result: dict[str, Any] = json.loads(text)
    return result


def test_lines_within_a_block_say_what_they_are_about() -> None:
    with bound({"task_uid": "t"}):
        with bound({"job_uid": "j"}):
            bind(execution_id="e")
            assert {"task_uid": "t", "job_uid": "j", "execution_id": "e"}.items() <= line().items()
        assert line()["task_uid"] == "t"
        assert "execution_id" not in line()
        assert "job_uid" not in line()
    assert "task_uid" not in line()


def test_tasks_and_threads_that_are_started_within_carry_it_too() -> None:
    async def scenario() -> list[object]:
        async def inner() -> object:
            await asyncio.sleep(0)
            return line().get("job_uid")

        async def sync(uid: str) -> list[object]:
            with bound({"job_uid": uid}):
                thread = await asyncio.to_thread(lambda: line().get("job_uid"))
                return [thread, await asyncio.create_task(inner())]

        return [*await asyncio.gather(sync("a"), sync("b")), await inner()]

    assert asyncio.run(scenario()) == [["a", "a"], ["b", "b"], None]


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect to postgresql://cw:hunter2@db:5432/cw failed", "connect to postgresql://cw:***@db:5432/cw failed"),
        ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
        (f"header was Bearer {JWT}", "header was Bearer ***"),
        (f"authorization: bearer {JWT}", "authorization: bearer ***"),
        (f"token {JWT} refused", "token *** refused"),
        ("https://sso.example.com:8443/keys?x=a@b is away", "https://sso.example.com:8443/keys?x=a@b is away"),
        ("the bearer of this task", "the bearer of this task"),
        ("每天 10:00 的任务", "每天 10:00 的任务"),
    ],
)
def test_tokens_and_passwords_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert line("%s", text)["message"] == shown
    assert line(detail=text)["detail"] == shown


def test_members_that_are_named_like_secrets_are_masked() -> None:
    found = line(db_password="hunter2", Authorization="Bearer x", jwt_token="abc", tokens=0, path="/x")
    assert found["db_password"] == found["Authorization"] == found["jwt_token"] == json_log.MASK
    assert found["path"] == "/x"


def test_a_traceback_is_masked_too() -> None:
    try:
        raise ValueError("postgresql://cw:hunter2@db/cw")
    except ValueError:
        import sys

        record = logging.getLogger("tests").makeRecord("tests", logging.ERROR, __file__, 1, "x", (), sys.exc_info())
    text = FORMATTER.format(record)
    assert "hunter2" not in text
    assert "Traceback" in text
