"""The only importer of geomstats: selects its pytorch backend and undoes what importing it changes.

geomstats 2.8 freezes its backend at its first import, from the environment variable
GEOMSTATS_BACKEND (default numpy). The import also sets torch's global default dtype to float64 and
configures the root logger. Here the variable is set for the duration of the import only, and the
caller's default dtype and logging are put back.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import BackendError

_VARIABLE = "GEOMSTATS_BACKEND"
_BACKEND = "pytorch"


@contextmanager
def _caller_state_kept() -> Iterator[None]:
    """Put back the environment variable, torch's default dtype and the root logger."""
    variable = os.environ.get(_VARIABLE)
    dtype = torch.get_default_dtype()
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    os.environ[_VARIABLE] = _BACKEND
    try:
        yield
    finally:
        if variable is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = variable
        torch.set_default_dtype(dtype)
        root.setLevel(level)
        root.handlers[:] = handlers


def _check_backend() -> None:
    """Raise if geomstats was imported before us with another backend than pytorch."""
    frozen = sys.modules.get("geomstats._backend")
    name = getattr(frozen, "BACKEND_NAME", _BACKEND)
    if name != _BACKEND:
        raise BackendError(
            f"manifoldflow needs geomstats on its pytorch backend, but geomstats was already imported with "
            f"the {name} backend; import manifoldflow before geomstats, or set the environment variable "
            f"{_VARIABLE}=pytorch before Python starts"
        )


_check_backend()
with _caller_state_kept(), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # geomstats still uses the import protocol that Python is retiring
    try:
        from geomstats.geometry.base import LevelSet
        from geomstats.geometry.euclidean import Euclidean as GeomstatsEuclidean
        from geomstats.geometry.euclidean import EuclideanMetric
        from geomstats.geometry.hypersphere import Hypersphere as GeomstatsHypersphere
        from geomstats.geometry.hypersphere import HypersphereMetric
        from geomstats.geometry.invariant_metric import BiInvariantMetric
        from geomstats.geometry.manifold import Manifold
        from geomstats.geometry.riemannian_metric import RiemannianMetric
        from geomstats.geometry.special_orthogonal import _SpecialOrthogonalMatrices as RotationMatrices
    except AttributeError as error:  # numpy >= 2.4 has no trapz
        raise ImportError(
            f"geomstats could not be imported ({error}); geomstats 2.8 needs numpy < 2.4: pip install 'numpy<2.4'"
        ) from error

__all__ = [
    "BiInvariantMetric",
    "EuclideanMetric",
    "GeomstatsEuclidean",
    "GeomstatsHypersphere",
    "HypersphereMetric",
    "LevelSet",
    "Manifold",
    "RiemannianMetric",
    "RotationMatrices",
]
