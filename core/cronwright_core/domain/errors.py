"""The errors of the domain; API and operator map them, once each.

CronwrightError
├── InvalidInput         400 / condition Ready=False; carries field errors
├── NotFound             404
├── Conflict             409: a name taken, a state that forbids the action
├── Forbidden            403
└── Unavailable          503: PostgreSQL or the API server cannot be reached; try again later
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A text for people in the two languages that the API speaks; Chinese is the document's."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field, named as the REST API names it (`schedule_config`); `kube_field` as the manifest does
    (`spec.schedule`)."""

    field: str
    message: Message
    kube_field: str = ""


class CronwrightError(Exception):
    """The root of all errors that Cronwright raises on purpose."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.en)
        self.message = message


class InvalidInput(CronwrightError):
    """The caller's data is wrong; nothing was stored. `errors` names each field."""

    def __init__(self, message: Message, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class NotFound(CronwrightError):
    """There is no such thing, or it is not the caller's."""


class Conflict(CronwrightError):
    """The name is taken, or the state forbids the action."""

    def __init__(self, message: Message, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class Forbidden(CronwrightError):
    """The caller is known but may not do this."""


class Unavailable(CronwrightError):
    """A backing service does not answer; the caller may try again."""
