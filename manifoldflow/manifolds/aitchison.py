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

from ..errors import OffManifoldError
from .metric import TorchMetric, as_times, one_of, rows_of
from .rows import dot
from .tracing import is_eager

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
        return (base_point.log() + tangent_vec / base_point).softmax(-1)

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The log, and no cut locus."""
        _refuse_zeros(point=point, base_point=base_point)
        vector = _from_clr(_difference(base_point, point), base_point)
        return vector, torch.zeros(vector.shape[:-1], dtype=torch.bool, device=vector.device)

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)`; its gradient at coincident points is exactly 0."""
        _refuse_zeros(point_a=point_a, point_b=point_b)
        return _difference(point_a, point_b).square().sum(-1)

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        _refuse_zeros(initial_point=start, end_point=end)
        p, ratio = start.log().unsqueeze(-2), _difference(start, end).unsqueeze(-2)
        return lambda t: torch.addcmul(p, as_times(t, start)[:, None], ratio).softmax(-1)

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
    ) -> Tensor:
        """The vector with the same log-ratios at `end_point`, or at the end of `direction`."""
        one_of("parallel_transport", direction=direction, end_point=end_point)
        if end_point is None:
            assert direction is not None
            end_point = self.exp(direction, base_point)
        _refuse_zeros(base_point=base_point, end_point=end_point)
        return _from_clr(tangent_vec / base_point, end_point)

    def log_volume_form(self, point: Tensor) -> Tensor:
        """-sum log p - 1/2 log n, relative to Lebesgue measure on the first d coordinates."""
        return -point.log().sum(-1) - 0.5 * math.log(point.shape[-1])


def _centred(a: Tensor) -> Tensor:
    return a - a.mean(-1, keepdim=True)


def _difference(p: Tensor, q: Tensor) -> Tensor:
    """clr(q) - clr(p), to full relative accuracy where q is near p: log1p of the relative difference."""
    relative = (q - p) / p
    near = relative.abs() < 0.5
    # The guards keep both branches finite where q / p overflows or the other branch is taken.
    ratio = torch.where(near, torch.where(near, relative, 0.0).log1p(), q.log() - p.log())
    return _centred(ratio)


def _from_clr(a: Tensor, p: Tensor) -> Tensor:
    return p * (a - dot(p, a))


def _refuse_zeros(**points: Tensor) -> None:
    if not is_eager():
        return
    for name, point in points.items():
        empty = (point <= 0).any(-1)
        if bool(empty.any()):
            raise OffManifoldError(
                f"{name}: expected positive coordinates, which the Aitchison metric needs, got zero or less at "
                f"{rows_of(empty)}; use the Fisher-Rao or Euclidean metric, or move the points inside"
            )
