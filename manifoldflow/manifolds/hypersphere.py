"""The unit sphere."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._geomstats import GeomstatsHypersphere, HypersphereMetric
from ..checks import check_integer, one_of
from . import sphere_kernels
from .euclidean import Euclidean
from .metric import TorchMetric, as_times, identity_matrix, refuse_cut
from .rows import safe_sqrt
from .space import Space

__all__ = ["Hypersphere", "SphereMetric"]


class SphereMetric(TorchMetric, HypersphereMetric):
    """The round metric, exact at every angle; `sphere_kernels` derives the formulas.

    Where a derivative does not exist, these are returned: for `dist`, 0 at coincident points and at
    antipodes; for a geodesic or log chosen at antipodes, 0.
    """

    constant_curvature = 1.0

    def metric_matrix(self, base_point: Tensor | None = None) -> Tensor:
        """The identity, shape `(*batch, n, n)`, in the n ambient coordinates."""
        return identity_matrix(self._space.dim + 1, base_point)

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """Point `(*batch, n)` reached from `base_point`, of unit norm whatever that of `base_point`."""
        return sphere_kernels.exp(tangent_vec, base_point)

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The log, and the mask of antipodes, where it is pi times a fixed direction."""
        return sphere_kernels.log(base_point, point)

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor | None = None) -> Tensor:
        """Euclidean inner product `(*batch,)`."""
        return (tangent_vec_a * tangent_vec_b).sum(-1)

    def dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Angle `(*batch,)` in radians."""
        return sphere_kernels.angle(point_a, point_b)

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared angle `(*batch,)`; its gradient at coincident points is exactly 0."""
        return sphere_kernels.squared_angle(point_a, point_b)

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        # Antipodes are refused here, once, as in the other metrics, not at the first call of the path.
        refuse_cut(sphere_kernels.antipodal(start, end), cut_locus, "end_point", self.cut_reason)
        return lambda t: sphere_kernels.slerp(start, end, as_times(t, start))[0]

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Transport `tangent_vec` along the geodesic to `end_point`, or along `direction` for unit time.

        Raises:
            CutLocusError: `end_point` is antipodal and `cut_locus` is "raise".
            ValueError: Both or neither of `direction` and `end_point` were given.
        """
        one_of("parallel_transport", direction=direction, end_point=end_point)
        if direction is not None:
            return sphere_kernels.transport_along(tangent_vec, base_point, direction)
        assert end_point is not None
        moved, cut = sphere_kernels.transport_to(tangent_vec, base_point, end_point)
        refuse_cut(cut, cut_locus, "end_point", self.cut_reason)
        return moved

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """pi."""
        return self._constant(math.pi, base_point)


class Hypersphere(Space, GeomstatsHypersphere):
    r"""Unit sphere :math:`S^d` in :math:`R^{d+1}`, a geomstats space with torch kernels.

    Args:
        dim: Intrinsic dimension d, at least 1.

    Points are unit vectors `(*batch, d + 1)`; tangent vectors are orthogonal to them. The reference measure
    of `metric.log_volume_form` is surface area itself.
    """

    remedy = "normalise it first: "

    def __init__(self, dim: int, equip: bool = True) -> None:
        super().__init__(check_integer("dim", dim), equip=equip)

    def __repr__(self) -> str:
        return f"Hypersphere({self.dim})"

    @staticmethod
    def default_metric() -> type[SphereMetric]:
        """The round metric."""
        return SphereMetric

    def _define_embedding_space(self) -> Euclidean:
        return Euclidean(self.dim + 1)

    def off(self, point: Tensor) -> Tensor:
        """Distance of the norm from 1."""
        return (torch.linalg.vector_norm(point, dim=-1) - 1).abs()

    def expectation(self) -> str:
        """Unit norm."""
        return "unit norm"

    def finding(self, point: Tensor) -> str:
        """Its norm."""
        return f"norm {point.norm():.4f}"

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Component along the base point."""
        size = torch.linalg.vector_norm(vector, dim=-1).clamp_min(1)
        return (vector * base_point).sum(-1).abs() / size

    def tangent_expectation(self) -> str:
        """Orthogonality."""
        return "orthogonal to the base point"

    def projection(self, point: Tensor) -> Tensor:
        """Nearest point `(*batch, n)`: point / |point|. The origin has none; it goes to the first axis."""
        zero = (point == 0).all(-1, keepdim=True)
        axis = torch.nn.functional.one_hot(torch.zeros_like(zero[..., 0], dtype=torch.long), self.dim + 1)
        point = torch.where(zero, axis.to(point), point)
        # Dividing by the largest entry first keeps squares from overflowing and underflowing.
        point = point / point.detach().abs().amax(-1, keepdim=True)
        return point / safe_sqrt((point * point).sum(-1, keepdim=True))

    def to_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Component `(*batch, n)` of `vector` orthogonal to `base_point`."""
        share = (vector * base_point).sum(-1, keepdim=True) / (base_point * base_point).sum(-1, keepdim=True)
        return torch.addcmul(vector, base_point, -share)

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Uniform points `(n_samples, n)`, or `(n,)` for one sample; `bound`, from geomstats, has no use here."""
        return self.projection(self._normal(n_samples, dtype=dtype, device=device, generator=generator))

    def random_uniform(self, n_samples: int = 1, **options: Any) -> Tensor:
        """The same as `random_point`."""
        return self.random_point(n_samples, **options)

    @property
    def log_volume(self) -> float:
        """Log of the area 2 pi^(n/2) / Gamma(n/2) of the sphere in R^n."""
        half = (self.dim + 1) / 2
        return math.log(2) + half * math.log(math.pi) - math.lgamma(half)
