"""How long the record of an execution is kept: the setting, and what single projects say instead. Pure.

Whole months go at once, as partitions, when the longest of all retentions has passed them; what has a shorter one goes
row by row before. Both by the execution's time in its key (its scheduled time, or that of the request).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FOREVER = 0
MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Share:
    """The executions that go after the same time: those of `projects`, or (`rest`) all but those of `projects`."""

    days: int
    projects: tuple[int, ...]
    rest: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """Days to keep: `default_days`, and by project id where a project says otherwise. `FOREVER`: never deleted."""

    default_days: int
    by_project: Mapping[int, int]

    @property
    def longest_days(self) -> int:
        """The longest of all retentions; `FOREVER` if there is one without an end."""
        days = {self.default_days, *self.by_project.values()}
        return FOREVER if FOREVER in days else max(days)

    def has_passed(self, year: int, month: int, now: datetime) -> bool:
        """Whether nobody wants anything of a month (UTC) any more."""
        if self.longest_days == FOREVER:
            return False
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return end <= now - timedelta(days=self.longest_days)

    def shares(self) -> list[Share]:
        """Whom rows must be deleted for one by one, as others keep theirs longer."""
        longest = self.longest_days
        by_days: dict[int, list[int]] = {}
        for project, days in sorted(self.by_project.items()):
            by_days.setdefault(days, []).append(project)
        shares = [Share(days, tuple(projects), rest=False) for days, projects in sorted(by_days.items())]
        shares.append(Share(self.default_days, tuple(sorted(self.by_project)), rest=True))
        return [share for share in shares if share.days != FOREVER and share.days != longest]
