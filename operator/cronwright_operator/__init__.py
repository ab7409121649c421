"""The operator: ScheduledTasks are reconciled, their ticks launched, their runs recorded. See docs/concepts.md."""
