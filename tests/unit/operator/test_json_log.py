"""kopf's own lines come out as all others do."""

from __future__ import annotations

import json
import logging
import sys

import kopf
from kopf._core.actions.loggers import ObjectLogger

from cronwright_core.json_log import JsonFormatter
from cronwright_operator.json_log import KopfMembers


def test_a_line_of_kopf_about_a_task_names_it_as_ours_do_and_shows_no_settings() -> None:
    lines: list[str] = []

    class Capture(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Capture()
    handler.setFormatter(JsonFormatter())
    handler.addFilter(KopfMembers())
    logger = logging.getLogger("kopf.objects")
    logger.addHandler(handler)
    try:
        body = {"kind": "ScheduledTask", "metadata": {"name": "n", "namespace": "team-a", "uid": "u-1"}}
        ObjectLogger(body=kopf.Body(body), settings=kopf.OperatorSettings()).warning("handler is slow")
    finally:
        logger.removeHandler(handler)
    found = json.loads(lines[0])
    assert (found["task_uid"], found["object"], found["level"]) == ("u-1", "team-a/n", "WARNING")
    assert found.keys() == {"time", "level", "logger", "message", "task_uid", "object"}
    assert sys.getsizeof(lines[0]) < 1000
