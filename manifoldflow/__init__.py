"""Geometry-first generative modelling on geomstats, torch and Pyro.

The rooms `training`, `evaluation`, `jobs`, `plots`, `report`, `steps` and `experiments` need the extra `train`. They
are imported when they are first used, as in `mf.training`.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = version("manifoldflow")


def _is_doctor() -> bool:
    """Whether this process is `manifoldflow doctor`, which also runs where the library does not import."""
    if sys.argv[1:2] != ["doctor"]:
        return False
    by_module = sys.argv[0] == "-m" and "-m manifoldflow doctor" in " ".join(sys.orig_argv)
    return by_module or Path(sys.argv[0]).name.partition(".")[0] == "manifoldflow"


try:
    from . import charts, data, distributions, errors, flows, interpolation, manifolds, models, realism, special
    from .distributions import Dirichlet, VonMisesFisher
    from .flows import ManifoldFlow
    from .interpolation import interpolate
    from .manifolds import Euclidean, Hypersphere, Simplex, Torus
except ImportError:
    if not _is_doctor():
        raise

if TYPE_CHECKING:
    from . import evaluation, experiments, jobs, plots, report, steps, training  # noqa: F401

__all__ = [
    "Dirichlet",
    "Euclidean",
    "Hypersphere",
    "ManifoldFlow",
    "Simplex",
    "Torus",
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

_ON_DEMAND = ("evaluation", "experiments", "jobs", "plots", "report", "steps", "training")


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ON_DEMAND, "__doc__", "__file__", "__name__", "__path__", "__version__"])
