"""Paths between two points, and combinations of several: callables of time."""
