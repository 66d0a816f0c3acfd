"""Which chart a space has unless another is asked for."""

from .._geomstats import Manifold
from ..manifolds import Euclidean, Hypersphere, Simplex
from .chart import Chart, Identity
from .simplex import AdditiveLogRatio
from .stereographic import Stereographic

__all__ = ["default_chart"]

_CHARTS: tuple[tuple[type[Manifold], type[Chart]], ...] = (
    (Euclidean, Identity),
    (Hypersphere, Stereographic),
    (Simplex, AdditiveLogRatio),
)


def default_chart(space: Manifold) -> Chart:
    """The chart of a Euclidean space, a sphere (stereographic) or a simplex (additive log-ratio).

    Raises:
        ValueError: The space is of another kind.
    """
    for kind, chart in _CHARTS:
        if isinstance(space, kind):
            return chart(space.dim)
    raise ValueError(f"space: expected a Euclidean space, a Hypersphere or a Simplex, got {space!r}; give a chart")
