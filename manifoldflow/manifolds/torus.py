"""The flat torus: angles, each of which wraps around."""

import math
from typing import Any

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import check_integer, one_of
from .metric import TorchMetric, identity_matrix, refuse_cut
from .space import Space

__all__ = ["Torus", "TorusMetric", "wrap"]


def wrap(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi], in radians; angles there keep every digit, both ends included."""
    return angle - 2 * math.pi * torch.round(angle.detach() / (2 * math.pi))


class TorusMetric(TorchMetric):
    """The flat metric: each angle goes the short way round."""

    constant_curvature = 0.0
    cut_reason = "angles half a turn apart"

    def metric_matrix(self, base_point: Tensor | None = None) -> Tensor:
        """The identity, shape `(*batch, d, d)`."""
        return identity_matrix(self._space.dim, base_point)

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """base_point + tangent_vec, wrapped to [-pi, pi]."""
        return wrap(base_point + tangent_vec)

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The wrapped difference, and the mask of points with an angle half a turn away, to within rounding."""
        difference = wrap(point - base_point)
        room = 4 * torch.finfo(difference.dtype).eps
        return difference, (math.pi - difference.detach().abs() <= room).any(-1)

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor | None = None) -> Tensor:
        """Euclidean inner product `(*batch,)`."""
        return (tangent_vec_a * tangent_vec_b).sum(-1)

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """The vector itself, broadcast to the points.

        Raises:
            CutLocusError: `end_point` has an angle half a turn away and `cut_locus` is "raise".
            ValueError: Both or neither of `direction` and `end_point` were given.
        """
        one_of("parallel_transport", direction=direction, end_point=end_point)
        other = direction
        if end_point is not None:
            refuse_cut(self.log_and_cut(end_point, base_point)[1], cut_locus, "end_point", self.cut_reason)
            other = end_point
        assert other is not None
        return tangent_vec.expand(torch.broadcast_shapes(tangent_vec.shape, base_point.shape, other.shape))

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """pi."""
        return self._constant(math.pi, base_point)


class Torus(Space, Manifold):
    r"""Flat torus :math:`T^d = (R / 2 \pi Z)^d`, a geomstats space with torch kernels.

    Args:
        dim: Number of angles d, at least 1.

    Points are angles in radians, `(*batch, d)`, in [-pi, pi], where both ends are the same angle; tangent vectors are
    any `(*batch, d)`. Angles in other turns are refused: `projection` wraps them, and torch.deg2rad converts degrees.
    The reference measure of `metric.log_volume_form` is d angle.

    >>> torus = Torus(1)
    >>> torus.metric.dist(torch.tensor([3.0]), torch.tensor([-3.0]))
    tensor(0.2832)
    """

    tangent_everywhere = True

    def __init__(self, dim: int, equip: bool = True) -> None:
        check_integer("dim", dim)
        super().__init__(dim=dim, shape=(dim,), equip=equip)

    def __repr__(self) -> str:
        return f"Torus({self.dim})"

    @staticmethod
    def default_metric() -> type[TorusMetric]:
        """The flat metric."""
        return TorusMetric

    def off(self, point: Tensor) -> Tensor:
        """How far the farthest angle is outside [-pi, pi]."""
        return (point.abs() - math.pi).clamp_min(0).amax(-1)

    def expectation(self) -> str:
        """Angles of one turn."""
        return "angles in [-pi, pi]"

    def finding(self, point: Tensor) -> str:
        """Its largest angle."""
        return f"an angle of {point[point.abs().argmax()]:.4f}"

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """0 where every coordinate is finite, NaN elsewhere."""
        return (vector - vector).abs().amax(-1)

    def tangent_expectation(self) -> str:
        """Finite coordinates."""
        return "finite coordinates"

    def projection(self, point: Tensor) -> Tensor:
        """The same angles in [-pi, pi]."""
        return wrap(point)

    def regularize(self, point: Tensor) -> Tensor:
        """The same angles in [-pi, pi]."""
        return wrap(point)

    def to_tangent(self, vector: Tensor, base_point: Tensor | None = None) -> Tensor:
        """The vector itself, broadcast to `base_point`."""
        if base_point is None:
            return vector
        return vector.expand(torch.broadcast_shapes(vector.shape, base_point.shape))

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Uniform points `(n_samples, d)`, or `(d,)` for one sample; `bound`, from geomstats, has no use here."""
        batch = () if n_samples == 1 else (n_samples,)
        turn = torch.rand(batch + self.shape, dtype=dtype, device=device, generator=generator)
        return wrap(2 * math.pi * turn)

    @property
    def log_volume(self) -> float:
        """d log 2 pi."""
        return self.dim * math.log(2 * math.pi)
