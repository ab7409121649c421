"""Exit codes, and the one error that the plugin shows as a line."""

from __future__ import annotations

DONE = 0
FAILED = 1
"""What was asked for could not be done."""
USAGE = 2
RUN_FAILED = 3
"""`trigger --wait`: the run ended, and not as SUCCESS."""
TIMED_OUT = 4
"""`trigger --wait`: the run had not ended in time; it goes on."""


class PluginError(Exception):
    """One line that says what is wrong and, where that is known, what to do."""


class NoRestApi(PluginError):
    """The REST API is not there to be asked; the cluster may still know."""


class NotThere(PluginError):
    """The REST API knows no such thing, or will not say."""
