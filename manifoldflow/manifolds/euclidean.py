"""Flat space."""

from typing import Any

import torch
from torch import Tensor

from .._geomstats import EuclideanMetric, GeomstatsEuclidean, Manifold, RiemannianMetric
from ..checks import check_integer, one_of
from .metric import TorchMetric, identity_matrix
from .space import Space

__all__ = ["Euclidean", "FlatCoordinates", "FlatMetric"]


class FlatMetric(TorchMetric, EuclideanMetric):
    """The Euclidean metric: straight lines."""

    constant_curvature = 0.0

    def __init__(self, space: Manifold) -> None:
        RiemannianMetric.__init__(self, space)  # EuclideanMetric's stores an n x n matrix: 40 GB for n = 100,000

    def metric_matrix(self, base_point: Tensor | None = None) -> Tensor:
        """The identity, shape `(*batch, n, n)`."""
        return identity_matrix(self._space.shape[0], base_point)

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """base_point + tangent_vec."""
        return base_point + tangent_vec

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """point - base_point, and no cut locus."""
        vector = point - base_point
        return vector, torch.zeros(vector.shape[:-1], dtype=torch.bool, device=vector.device)

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
        """The vector itself, broadcast to the points."""
        one_of("parallel_transport", direction=direction, end_point=end_point)
        other = direction if end_point is None else end_point
        assert other is not None
        return tangent_vec.expand(torch.broadcast_shapes(tangent_vec.shape, base_point.shape, other.shape))


class FlatCoordinates(Space):
    """Membership, projection and random points of a space whose points are any vectors `(*batch, d)`."""

    tangent_everywhere = True

    def off(self, point: Tensor) -> Tensor:
        """0 where every coordinate is finite, NaN elsewhere."""
        return (point - point).abs().amax(-1)

    def expectation(self) -> str:
        """Finite coordinates."""
        return "finite coordinates"

    def finding(self, point: Tensor) -> str:
        """Its largest coordinate."""
        return f"a coordinate {point[~point.isfinite()][0]}"

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """As `off`."""
        return self.off(vector)

    def tangent_expectation(self) -> str:
        """Finite coordinates."""
        return "finite coordinates"

    def projection(self, point: Tensor) -> Tensor:
        """The point itself."""
        return point

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
        """Standard normal points `(n_samples, d)`, or `(d,)` for one; `bound`, from geomstats, has no use here."""
        return self._normal(n_samples, dtype=dtype, device=device, generator=generator)

    def random_tangent_vec(self, base_point: Tensor | None = None, n_samples: int = 1, **options: Any) -> Tensor:
        """A standard normal vector, shape `(n_samples, d)` or that of `base_point`."""
        if base_point is None:
            return self.random_point(n_samples, **options)
        return super().random_tangent_vec(base_point, n_samples, **options)


class Euclidean(FlatCoordinates, GeomstatsEuclidean):
    """Flat space R^d, a geomstats space with torch kernels.

    Args:
        dim: Dimension d, at least 1.

    Points and tangent vectors are `(*batch, d)`. The reference measure of `metric.log_volume_form` is
    Lebesgue measure.
    """

    def __init__(self, dim: int, equip: bool = True) -> None:
        super().__init__(check_integer("dim", dim), equip=equip)

    def __repr__(self) -> str:
        return f"Euclidean({self.dim})"

    @staticmethod
    def default_metric() -> type[FlatMetric]:
        """The Euclidean metric."""
        return FlatMetric
