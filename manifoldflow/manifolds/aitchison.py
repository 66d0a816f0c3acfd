"""The Aitchison (log-ratio) metric of the open simplex: flat, at infinite distance from the boundary.

With clr(p) = log p minus its mean, d(p, q) = |clr(q) - clr(p)|. A tangent vector u at p is u / p minus its mean
in these coordinates, and a vector a there is p (a - p.a) in p's.

Reference: V. Pawlowsky-Glahn, J. Egozcue and R. Tolosana-Delgado, Modeling and Analysis of Compositional Data, ch. 3.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import holds, one_of
from ..errors import OffManifoldError
from .metric import TorchMetric, as_times, rows_of
from .rows import dot, in_blocks

__all__ = ["AitchisonMetric"]


class AitchisonMetric(TorchMetric):
    """Euclidean distance of centred log-ratios; every coordinate must be positive."""

    constant_curvature = 0.0

    def metric_matrix(self, base_point: Tensor) -> Tensor:
        """diag(1/p) (I - 1 1^T / n) diag(1/p), shape `(*batch, n, n)`, in the n ambient coordinates."""
        inverse = base_point.reciprocal()
        outer = inverse[..., :, None] * inverse[..., None, :]
        return torch.diag_embed(inverse.square()) - outer / base_point.shape[-1]

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor) -> Tensor:  # type: ignore[override]
        """Inner product `(*batch,)` of the vectors' centred log-ratios."""
        _refuse_zeros(base_point=base_point)
        return (_centred(tangent_vec_a / base_point) * _centred(tangent_vec_b / base_point)).sum(-1)

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """softmax(log p + u / p), shape `(*batch, n)`."""
        _refuse_zeros(base_point=base_point)
        return in_blocks(lambda u, p: ((p.log() + u / p).softmax(-1),), tangent_vec, base_point)[0]

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The log, and no cut locus."""
        _refuse_zeros(point=point, base_point=base_point)
        vector = in_blocks(lambda p, q: (_from_clr(_difference(p, q), p),), base_point, point)[0]
        return vector, torch.zeros(vector.shape[:-1], dtype=torch.bool, device=vector.device)

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)`; its gradient at coincident points is exactly 0."""
        _refuse_zeros(point_a=point_a, point_b=point_b)
        return in_blocks(lambda p, q: (_difference(p, q).square().sum(-1),), point_a, point_b)[0]

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        _refuse_zeros(initial_point=start, end_point=end)

        def path(t: Any) -> Tensor:
            times = as_times(t, start)[:, None]

            def kernel(p: Tensor, q: Tensor) -> tuple[Tensor]:
                return (torch.addcmul(p.log().unsqueeze(-2), times, _difference(p, q).unsqueeze(-2)).softmax(-1),)

            return in_blocks(kernel, start, end)[0]

        return path

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """The vector with the same log-ratios at `end_point`, or at the end of `direction`."""
        one_of("parallel_transport", direction=direction, end_point=end_point)
        if end_point is None:
            assert direction is not None
            end_point = self.exp(direction, base_point)
        _refuse_zeros(base_point=base_point, end_point=end_point)
        return in_blocks(lambda u, p, q: (_from_clr(u / p, q),), tangent_vec, base_point, end_point)[0]

    def log_volume_form(self, point: Tensor) -> Tensor:
        """-sum log p - 1/2 log n, relative to Lebesgue measure on the first d coordinates."""
        return -point.log().sum(-1) - 0.5 * math.log(point.shape[-1])


def _centred(a: Tensor) -> Tensor:
    return a - a.mean(-1, keepdim=True)


def _difference(p: Tensor, q: Tensor) -> Tensor:
    """clr(q) - clr(p), to full relative accuracy where q is near p: log1p of the relative difference."""
    near = (q - p).abs() < 0.5 * p
    # The guards keep the branch finite, and its derivative, where the other is taken and q / p may overflow.
    relative = torch.where(near, q - p, 0.0) / torch.where(near, p, 1.0)
    return _centred(torch.where(near, relative.log1p(), q.log() - p.log()))


def _from_clr(a: Tensor, p: Tensor) -> Tensor:
    return p * (a - dot(p, a))


def _refuse_zeros(**points: Tensor) -> None:
    for name, point in points.items():
        empty = (point <= 0).any(-1)
        if holds(empty):
            raise OffManifoldError(
                f"{name}: expected positive coordinates, which the Aitchison metric needs, got zero or less at "
                f"{rows_of(empty)}; use the Fisher-Rao or Euclidean metric, or move the points inside"
            )
