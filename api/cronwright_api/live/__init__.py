"""Logs as they grow: server-sent events from the stored output, woken by the database's notifications."""
