"""Bridges: random paths between two points."""
