"""Bodies and answers of the previews of schedules; additions to the document, in its words."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant
from cronwright_api.schemas.fields import BODY, Text
from cronwright_api.schemas.tasks import ScheduleTypeName, bounds_of
from cronwright_core.domain.clock_changes import ClockEffect
from cronwright_core.domain.schedule import MAX_PREVIEW

DEFAULT_COUNT = 10


class SchedulePreview(BaseModel):
    """Body of a preview: a schedule as in endpoint 1."""

    model_config = BODY

    schedule_type: ScheduleTypeName
    schedule_config: Text = Field(
        default="", description="required unless schedule_type is ONCE", examples=["30 2 * * *"]
    )
    time_zone: Text = Field(
        default="UTC", description="IANA name; the default is the installation's", examples=["Asia/Shanghai"]
    )
    start: Text | None = Field(
        default=None,
        description="runs after this time are shown, as of a task that becomes active then; default: now",
        json_schema_extra={"format": "date-time"},
        examples=["2027-01-01T00:00:00Z"],
    )
    count: int = Field(default=DEFAULT_COUNT, ge=1, le=MAX_PREVIEW)
    spread_seconds: int = Field(
        default=0, description="as in endpoint 1", json_schema_extra=bounds_of("spread_seconds"), examples=[600]
    )


class ClockNoteOut(BaseModel):
    """What a change of the clock does to a run."""

    effect: ClockEffect = Field(
        description="SKIPPED: does not run; REPEATED: runs twice (a date: at the first of two times); MOVED: runs at a"
        " time that the text does not name; SHIFTED: an interval's local time changes"
    )
    time: Instant
    message: str


class NextRuns(BaseModel):
    """The next runs, the first one first; fewer than asked for if there are no more."""

    next_run_times: list[Instant]
    local_run_times: list[str] = Field(
        description="the same times by the clock of time_zone", examples=[["2027-01-01T10:30:00+08:00"]]
    )
    time_zone: str
    notes: list[ClockNoteOut]


class PreviewedRuns(NextRuns):
    """The next runs of a schedule that no task has yet. Without spread_seconds both lists of times are the same.

    By how much a task's runs start later follows from its uid, so a preview shows the times as the schedule has them
    and the latest possible start of each.
    """

    spread_seconds: int = Field(description="each run starts less than so many seconds after its time")
    latest_run_times: list[Instant] = Field(description="the last second at which each of them may start")


class TaskNextRuns(NextRuns):
    """The next scheduled runs of a task; none while it is paused, and none after its only run.

    The times are those at which they start: `spread_offset_seconds` after the times that the schedule has.
    """

    is_active: bool
    spread_seconds: int = Field(description="runs start less than so many seconds after their times")
    spread_offset_seconds: int = Field(description="by how much this task's runs start later")
