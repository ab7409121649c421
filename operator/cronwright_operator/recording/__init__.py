"""Jobs and Pods -> executions, attempts and logs in PostgreSQL."""
