"""Instants as text, as Kubernetes and the API write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cronwright_core.domain.times import from_rfc3339, lags, latest, to_rfc3339, whole_seconds

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
IN_SHANGHAI = datetime(2026, 3, 2, 18, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=8)))


def test_fractions_are_cut_and_the_zone_is_utc() -> None:
    assert whole_seconds(IN_SHANGHAI) == T0
    assert to_rfc3339(IN_SHANGHAI) == "2026-03-02T10:00:00Z"
    assert from_rfc3339("2026-03-02T18:00:00.5+08:00") == T0 + timedelta(milliseconds=500)


def test_a_text_without_an_offset_is_no_instant() -> None:
    with pytest.raises(ValueError, match="no UTC offset"):
        from_rfc3339("2026-03-02T10:00:00")


def test_a_tick_that_the_watermark_has_reached_is_decided() -> None:
    later = T0 + timedelta(seconds=1)
    assert (lags(None, T0), lags(T0, later), lags(T0, T0), lags(later, T0), lags(T0, None)) == (
        True,
        True,
        False,
        False,
        False,
    )
    assert (latest(None, later, T0), latest(None)) == (later, None)
