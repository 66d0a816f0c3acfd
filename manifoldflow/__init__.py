"""Geometry-first generative modelling on geomstats, torch and Pyro."""

from importlib.metadata import version

from . import errors, manifolds

__version__ = version("manifoldflow")

__all__ = ["errors", "manifolds"]
