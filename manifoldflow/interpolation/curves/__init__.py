"""Curves of least energy, and the solvers that find them."""
