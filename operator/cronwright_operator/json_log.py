"""The operator's log: the shared JSON lines, with what kopf adds of its own brought into their shape."""

from __future__ import annotations

import logging

from cronwright_core import json_log

_KINDS = {"ScheduledTask": "task_uid", "Project": "project_uid"}


def configure(level: str) -> None:
    """Sends every logger of the process, kopf's too, through the formatter.

    Raises:
        ValueError: the level is not one of logging's names.
    """
    json_log.configure(level, None, KopfMembers())
    # One line per event that says only that our handler returned.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)


class KopfMembers(logging.Filter):
    """kopf's lines about an object: its uid as everywhere else, and without kopf's whole settings."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keeps the line."""
        members = vars(record)
        members.pop("settings", None)
        members.pop("k8s_skip", None)
        reference = members.pop("k8s_ref", None)
        if isinstance(reference, dict):
            name = _KINDS.get(str(reference.get("kind")), "uid")
            members[name] = reference.get("uid")
            members["object"] = f"{reference.get('namespace')}/{reference.get('name')}"
        return True
