"""Endpoint 15's answer, as the customer's document has it; additions follow below its fields."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cronwright_api.envelope import Instant


class CleanupSummary(BaseModel):
    """What was really removed."""

    directories_removed: int
    space_freed_mb: float = Field(description="as the file systems had allocated it, in units of 2^20 bytes")
    oldest_removed: Instant | None = Field(description="the earliest end of an execution whose directory was removed")
    cleanup_time: Instant
    directories_failed: int = Field(description="directories that could not be removed")
    pending_projects: int = Field(
        description="projects whose cleaning has not ended; it goes on, and these figures do not hold it"
    )
    problems: list[str] = Field(description="why something was left, one for each project concerned")


class CleanupOut(BaseModel):
    """The answer's data."""

    cleanup_summary: CleanupSummary
