"""Instants as text and back. All instants inside Cronwright are aware, UTC, and where Kubernetes keeps them whole
seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def whole_seconds(time: datetime) -> datetime:
    """Cuts fractions of a second, as metav1.Time does, and converts to UTC."""
    return time.astimezone(UTC).replace(microsecond=0)


def to_rfc3339(time: datetime) -> str:
    """`2024-01-01T02:00:00Z`: UTC, whole seconds."""
    # isoformat takes a third of strftime's time, and a list shows eighty instants.
    return time.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def from_rfc3339(text: str) -> datetime:
    """Parses RFC 3339 (any offset, any fraction) to UTC.

    Raises:
        ValueError: the text is no RFC 3339 instant, or has no offset.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"no UTC offset in {text!r}")
    return time.astimezone(UTC)


def latest(*times: datetime | None) -> datetime | None:
    """The latest of the times that are there, or None."""
    return max((time for time in times if time is not None), default=None)


def lags(watermark: datetime | None, tick: datetime | None) -> bool:
    """Whether there is a tick that the watermark has not reached."""
    return tick is not None and (watermark is None or watermark < tick)
