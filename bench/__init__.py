"""Measurements: each part is a command of its own, and none of it is run by the tests."""
