"""Geometry-first generative modelling on geomstats, torch and Pyro.

The rooms `training`, `evaluation`, `report` and `steps` need the extra `train` and are imported on demand.
"""

import sys
from importlib.metadata import version

__version__ = version("manifoldflow")

try:
    from . import charts, data, distributions, errors, flows, interpolation, manifolds, models, realism, special
    from .distributions import Dirichlet, VonMisesFisher
    from .flows import ManifoldFlow
    from .interpolation import interpolate
    from .manifolds import Euclidean, Hypersphere, Simplex
except ImportError:
    if sys.argv[1:2] != ["doctor"]:  # which is there to tell what is broken
        raise

__all__ = [
    "Dirichlet",
    "Euclidean",
    "Hypersphere",
    "ManifoldFlow",
    "Simplex",
    "VonMisesFisher",
    "charts",
    "data",
    "distributions",
    "errors",
    "flows",
    "interpolate",
    "interpolation",
    "manifolds",
    "models",
    "realism",
    "special",
]
