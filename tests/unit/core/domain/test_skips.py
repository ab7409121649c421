"""The account of skipped ticks that wait for PostgreSQL: exact while it has room, honest about the rest."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronwright_core.domain.skips import MAX_GROUPS, MAX_TICKS, MESSAGE_LENGTH, OlderSkips, SkippedTick, UnrecordedSkips
from cronwright_core.kube.codec import from_unrecorded_skips, to_unrecorded_skips
from support.builders import CREATED


def tick(number: int, reason: str = "AlreadyRunning", message: str = "1 runs") -> SkippedTick:
    return SkippedTick(CREATED + timedelta(minutes=number), reason, message)


def times(account: UnrecordedSkips) -> list[datetime]:
    return [row.tick for row in account.rows()]


def test_each_tick_has_its_row_with_its_own_reason() -> None:
    ticks = [tick(1), tick(2, "MissedSchedule", "nobody"), tick(3)]
    account = UnrecordedSkips().with_more(reversed(ticks))
    assert sorted(account.rows(), key=lambda row: row.tick) == ticks
    assert len(account.groups) == 2
    assert to_unrecorded_skips(from_unrecorded_skips(account)) == account


def test_the_same_again_changes_nothing() -> None:
    account = UnrecordedSkips().with_more([tick(1), tick(2)])
    assert account.with_more([tick(2, "Other")]) == account
    full = account.with_more(tick(number) for number in range(3, MAX_TICKS + 9))
    assert full.with_more([tick(1), tick(2), tick(8), tick(50)]) == full


def test_what_has_no_room_is_counted_and_the_newest_stay() -> None:
    account = UnrecordedSkips()
    for number in range(1, 501):
        account = account.with_more([tick(number)])
    older = 500 - MAX_TICKS
    assert account.older == OlderSkips(older, tick(1).tick, tick(older).tick)
    rows = account.rows()
    assert len(rows) == MAX_TICKS + 1
    assert (rows[0].tick, rows[0].message.split()[0]) == (tick(older).tick, str(older))
    assert times(account)[1:] == [tick(number).tick for number in range(older + 1, 501)]
    assert to_unrecorded_skips(from_unrecorded_skips(account)) == account


def test_in_whatever_order_they_come_the_newest_stay() -> None:
    ticks = [tick(number) for number in range(MAX_TICKS + 5)]
    account = UnrecordedSkips().with_more(reversed(ticks))
    assert account == UnrecordedSkips().with_more(ticks)
    assert account.older == OlderSkips(5, ticks[0].tick, ticks[4].tick)


def test_many_different_messages_are_bounded_too() -> None:
    account = UnrecordedSkips().with_more(tick(number, message=f"{number} runs" + "!" * 9999) for number in range(41))
    assert len(account.groups) == MAX_GROUPS
    assert account.older == OlderSkips(41 - MAX_GROUPS, tick(0).tick, tick(40 - MAX_GROUPS).tick)
    assert {len(group.message) for group in account.groups} == {MESSAGE_LENGTH}


def test_an_empty_account_is_not_written() -> None:
    assert from_unrecorded_skips(UnrecordedSkips()) == {}
    assert UnrecordedSkips().rows() == []
