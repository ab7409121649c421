"""The API server's audit log against RBAC: what was asked for, what was refused, what was never used. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

EVERYWHERE = "*"


class Right(NamedTuple):
    """A verb on a resource (`pods/log`), for an account in one namespace or everywhere."""

    account: str
    namespace: str
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        where = "" if self.namespace == EVERYWHERE else f" in {self.namespace}"
        return f"{self.account}: {self.verb} {self.resource}{f'.{self.group}' if self.group else ''}{where}"


@dataclass(frozen=True)
class Request:
    """One request of an account: `forbidden` by RBAC (not by a quota or an admission rule)."""

    right: Right
    forbidden: bool
    path: str


def parts_of(log: Path) -> list[Path]:
    """The log's files, oldest first: rotated ones carry their time in the name."""
    return [*sorted(log.parent.glob(f"{log.stem}-*{log.suffix}")), *([log] if log.exists() else [])]


def read_requests(lines: Iterable[str], *, namespace: str, since: datetime) -> Iterator[Request]:
    """The requests of a namespace's service accounts from `since` on; a last line that is half written is left out."""
    prefix = f"system:serviceaccount:{namespace}:"
    for line in lines:
        if prefix not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        user = event["user"]["username"]
        if not user.startswith(prefix) or datetime.fromisoformat(event["requestReceivedTimestamp"]) < since:
            continue
        about = event.get("objectRef") or {}
        resource = about.get("resource") or event["requestURI"].partition("?")[0]
        if about.get("subresource"):
            resource += f"/{about['subresource']}"
        yield Request(
            right=Right(
                user.removeprefix(prefix),
                about.get("namespace", ""),
                about.get("apiGroup", ""),
                resource,
                event["verb"],
            ),
            forbidden=(event.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid",
            path=event["requestURI"],
        )


def granted_rights(
    bindings: Sequence[Mapping[str, Any]], roles: Sequence[Mapping[str, Any]], namespace: str
) -> set[Right]:
    """What the bindings give to the service accounts of a namespace."""
    rules = {
        (role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]): role.get("rules") or ()
        for role in roles
    }
    result = set()
    for binding in bindings:
        reference, within = binding["roleRef"], binding["metadata"].get("namespace", "")
        found = rules[reference["kind"], within if reference["kind"] == "Role" else "", reference["name"]]
        for subject in binding.get("subjects") or ():
            if subject.get("kind") != "ServiceAccount" or subject.get("namespace") != namespace:
                continue
            result |= {
                Right(subject["name"], within or EVERYWHERE, group, resource, verb)
                for rule in found
                for group in rule.get("apiGroups") or ()
                for resource in rule.get("resources") or ()
                for verb in rule["verbs"]
            }
    return result


def refused_for_want(requests: Iterable[Request], granted: set[Right]) -> list[Request]:
    """Requests that were forbidden and for which there is no right.

    An API server that has just started (the chaos tests kill it) knows no roles for a moment: it refuses what is
    granted.
    """
    return [
        request
        for request in requests
        if request.forbidden and not {request.right, request.right._replace(namespace=EVERYWHERE)} & granted
    ]


def unused_rights(granted: Iterable[Right], requests: Iterable[Request]) -> list[Right]:
    """The rights that no request needed. A right in one namespace is used by requests there only."""
    used = {request.right for request in requests}
    used |= {right._replace(namespace=EVERYWHERE) for right in used}
    return sorted(right for right in granted if right not in used)
