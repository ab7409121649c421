"""The REST API: reads PostgreSQL, writes ScheduledTasks and Projects. The customer's document is its contract."""
