"""Ticks and requests -> Jobs."""
