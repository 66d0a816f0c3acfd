"""Geodesic paths: the shortest constant-speed curve between two points of a space."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ... import manifolds
from ..._geomstats import Manifold
from ...manifolds.rows import safe_sqrt
from .great_circle import GreatCircle
from .path import Path
from .points import pin, velocity_of, weighted_sum

__all__ = ["Geodesic"]


class Geodesic(Path):
    r"""Geodesic :math:`\gamma(t) = \exp_{s_0}(t \log_{s_0} s_1)`, t in [0, 1].

    Args:
        space: A geomstats space with a metric; the path lives on it.
        start: Points :math:`s_0`, shape `(*batch, *space.shape)`.
        end: Points :math:`s_1`, same shape.
        cut_locus: On our hypersphere and simplex, what to do with a pair that has no unique geodesic:
            "raise", or "choose" one.

    Raises:
        OffManifoldError: A point is off the manifold by more than its dtype allows.
        CutLocusError: A pair has no unique geodesic (antipodes on a sphere) under "raise".

    Decoded through a flow whose base lives on `space`, it is a geodesic of the metric that the flow pulls
    back: the flow is an isometry from that metric by construction. Reference: arXiv 2010.12059, section 4.
    """

    def __init__(self, space: Manifold, start: Any, end: Any, *, cut_locus: str = "raise") -> None:
        super().__init__(start, end, event_dim=len(space.shape), space=space)
        manifolds.check_points(space, start=self.start, end=self.end)
        self._circle = None
        self._rooted = isinstance(space, manifolds.Simplex) and space.metric_name == "fisher_rao"
        if self._rooted or isinstance(space, manifolds.Hypersphere):
            # Two weights a time, where the metric's exponential makes several passes; and the Fisher-Rao one cannot
            # leave the boundary of the simplex, which the great circle through the roots can.
            ends = (self.start, self.end) if not self._rooted else (safe_sqrt(self.start), safe_sqrt(self.end))
            self._circle = GreatCircle(*ends, method="geodesic", cut_locus=cut_locus)
            return
        self._metric = manifolds.broadcasting(space.metric)
        self._tangent = self._metric.log(self.end, base_point=self.start, cut_locus=cut_locus)

    def _points(self, t: Tensor) -> Tensor:
        if self._circle is None:
            return pin(self._curve(t), t, self.start, self.end, self.event_dim)
        points = weighted_sum(self._circle.pinned(t, self._circle.weights(t)), self._circle.vectors, 1)
        return points.square() if self._rooted else points

    def _curve(self, t: Tensor) -> Tensor:
        """The geodesic without its end points put back exactly, which would have no derivative there."""
        axis = len(self.batch_shape)
        if self._circle is not None:
            points = weighted_sum(self._circle.weights(t), self._circle.vectors, 1)
            return points.square() if self._rooted else points
        along = t.reshape(*t.shape, *[1] * self.event_dim) * self._tangent.unsqueeze(axis)
        base_point = self.start.unsqueeze(axis)
        if isinstance(self.space, manifolds.Pullback):  # torch's forward mode refuses points that share memory
            base_point = base_point.expand(along.shape).contiguous()
        return self._metric.exp(along, base_point=base_point)

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, tangent to the space, shape `(*batch, m, *space.shape)`."""
        times = self._times(t)
        return velocity_of(self._curve, times)

    def length(self, *, decode: Callable[[Tensor], Tensor] | None = None, steps: int = 256) -> Tensor:
        """Length `(*batch,)`: the distance of the end points, or with `decode` the sum of `steps` chords of
        its output.
        """
        if decode is not None:
            return super().length(decode=decode, steps=steps)
        if self._circle is not None:
            return 2 * self._circle.angle if self._rooted else self._circle.angle
        return self._metric.dist(self.start, self.end)
