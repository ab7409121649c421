"""Ending executions: cancels, time limits, deletions, Pods that cannot start. Output is kept wherever there is any."""
