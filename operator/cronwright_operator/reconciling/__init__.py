"""A task -> its CronJob, its Jobs, its status: observe, decide (pure), apply."""
