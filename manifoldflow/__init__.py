"""Geometry-first generative modelling on geomstats, torch and Pyro.

The rooms `training`, `evaluation`, `jobs`, `plots`, `report`, `steps` and `experiments` need the extra `train`. They
are imported when they are first used, as in `mf.training`.
"""

import os
import signal
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

__version__ = version("manifoldflow")


def _is_command(*first: str) -> bool:
    """Whether this process is the command `manifoldflow`, with these first arguments."""
    if sys.argv[1 : len(first) + 1] != list(first):
        return False
    by_module = sys.argv[0] == "-m" and " ".join(("-m", "manifoldflow", *first)) in " ".join(sys.orig_argv)
    path = Path(sys.argv[0])
    return by_module or path.stem == "manifoldflow" or path.parts[-2:] == ("manifoldflow", "__main__.py")


def _end_at_once() -> None:
    """If this is the command, let SIGINT and SIGTERM end it here and now, until it begins its work.

    Some extension modules swallow a KeyboardInterrupt while they are imported.
    """
    if not _is_command() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, b"manifoldflow: interrupted; no half-written result is left\n")
        os._exit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


_end_at_once()
try:
    from . import (
        charts,
        data,
        distributions,
        errors,
        flows,
        inference,
        interpolation,
        manifolds,
        models,
        realism,
        special,
    )
    from .distributions import Dirichlet, VonMisesFisher
    from .flows import ManifoldFlow
    from .interpolation import interpolate
    from .manifolds import Euclidean, Hypersphere, Simplex, Torus
except ImportError:
    if not _is_command("doctor"):  # which also runs where the library does not import
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
    "inference",
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
