"""The probability simplex with a metric chosen by name."""

import math
from typing import Any

import torch
from torch import Tensor

from .._geomstats import LevelSet
from ..checks import check_choice, check_integer
from .aitchison import AitchisonMetric
from .euclidean import Euclidean, FlatMetric
from .fisher_rao import FisherRaoMetric
from .metric import TorchMetric
from .space import Space

__all__ = ["Simplex"]


class SimplexFlatMetric(FlatMetric):
    """The Euclidean metric of the ambient space: straight lines."""

    def log_volume_form(self, point: Tensor) -> Tensor:
        """1/2 log n, relative to Lebesgue measure on the first d coordinates."""
        return point.new_full(point.shape[:-1], 0.5 * math.log(point.shape[-1]))

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Distance to the nearest face, min p sqrt(n / d); that of the centre, without a point."""
        d = self._space.dim
        scale = math.sqrt((d + 1) / d)
        return scale / (d + 1) if base_point is None else scale * base_point.amin(-1)


METRICS: dict[str, type[TorchMetric]] = {
    "fisher_rao": FisherRaoMetric,
    "euclidean": SimplexFlatMetric,
    "aitchison": AitchisonMetric,
}


class Simplex(Space, LevelSet):
    r"""Probability vectors with d + 1 coordinates, a geomstats space with torch kernels.

    Args:
        dim: Intrinsic dimension d, at least 1.
        metric: "fisher_rao" (the sphere's orthant through 2 sqrt p), "euclidean" (straight lines) or
            "aitchison" (log-ratios; the open simplex only).

    Points `(*batch, d + 1)` are nonnegative and sum to 1; tangent vectors sum to 0. The reference measure of
    `metric.log_volume_form` is Lebesgue measure on the first d coordinates.
    """

    tangent_everywhere = True

    def __init__(self, dim: int, equip: bool = True, *, metric: str = "fisher_rao") -> None:
        self.metric_name = check_choice("metric", metric, METRICS)
        self.dim = check_integer("dim", dim)  # geomstats asks for the embedding space before it sets the dimension
        super().__init__(dim=dim, shape=(dim + 1,), equip=equip)

    def __repr__(self) -> str:
        return f"Simplex({self.dim}, metric={self.metric_name!r})"

    def default_metric(self) -> type[TorchMetric]:
        """The metric chosen by name."""
        return METRICS[self.metric_name]

    def _define_embedding_space(self) -> Euclidean:
        return Euclidean(self.dim + 1)

    def submersion(self, point: Tensor) -> Tensor:
        """Sum minus 1 `(*batch,)`."""
        return point.sum(-1) - 1

    def tangent_submersion(self, vector: Tensor, point: Tensor) -> Tensor:
        """Sum `(*batch,)`."""
        return vector.sum(-1)

    def off(self, point: Tensor) -> Tensor:
        """The sum's distance from 1 or the most negative coordinate; infinite for zeros that the metric refuses."""
        off = torch.maximum((point.sum(-1) - 1).abs(), -point.amin(-1))
        return torch.where((point <= 0).any(-1), math.inf, off) if self._open else off

    @property
    def _open(self) -> bool:
        return self.metric_name == "aitchison"

    def expectation(self) -> str:
        """Positive or nonnegative coordinates with sum 1."""
        return f"{'positive' if self._open else 'nonnegative'} coordinates with sum 1"

    def finding(self, point: Tensor) -> str:
        """Its sum and least coordinate."""
        return f"sum {point.sum():.4f} and least coordinate {point.min():.4g}"

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Sum of the coordinates; for the Fisher-Rao metric, components in zero coordinates too, of infinite norm."""
        off = vector.sum(-1).abs()
        if self.metric_name == "fisher_rao":
            off = torch.maximum(off, torch.where(base_point == 0, vector.abs(), 0.0).amax(-1))
        return off / torch.linalg.vector_norm(vector, dim=-1).clamp_min(1)

    def tangent_expectation(self) -> str:
        """Sum zero."""
        faces = ", none where the base point's is 0" if self.metric_name == "fisher_rao" else ""
        return f"coordinates with sum 0{faces}"

    def projection(self, point: Tensor) -> Tensor:
        """Nearest probability vector `(*batch, n)` in Euclidean distance.

        For the Aitchison metric, whose points must be positive, coordinates are first raised to the dtype's eps.

        Reference: J. Duchi et al., Efficient projections onto the l1-ball, ICML 2008, figure 1.
        """
        # A shift of all coordinates changes nothing; of large ones, it keeps the 1 from being rounded away.
        top = point.detach().amax(-1, keepdim=True)
        point = torch.where(top.abs() > 2, point - top, point)
        ordered = point.sort(dim=-1, descending=True).values
        excess = ordered.cumsum(-1) - 1
        count = torch.arange(1, point.shape[-1] + 1, dtype=point.dtype, device=point.device)
        kept = (ordered * count > excess).sum(-1, keepdim=True).clamp_min(1)
        nearest = (point - excess.gather(-1, kept - 1) / kept).clamp_min(0)
        if self._open:
            nearest = nearest.clamp_min(torch.finfo(point.dtype).eps)
        return nearest / nearest.sum(-1, keepdim=True)

    def to_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """The tangent vector `(*batch, n)` nearest in the Euclidean norm or, for the Fisher-Rao metric, in its norm.

        Fisher-Rao vectors have no component in a zero coordinate.
        """
        if self.metric_name != "fisher_rao":
            vector = vector - vector.mean(-1, keepdim=True)
            return vector.expand(torch.broadcast_shapes(vector.shape, base_point.shape))
        vector = torch.where(base_point == 0, 0.0, vector)
        return vector - base_point * vector.sum(-1, keepdim=True) / base_point.sum(-1, keepdim=True)

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Points `(n_samples, n)`, or `(n,)` for one; `bound`, from geomstats, has no use here.

        Uniform in the Riemannian volume of the Fisher-Rao metric (Dirichlet(1/2)) and of the Euclidean metric
        (Dirichlet(1)); standard normal in isometric log-ratios for the Aitchison metric, whose volume is infinite.
        """
        normal = self._normal(n_samples, dtype=dtype, device=device, generator=generator)
        if self.metric_name == "aitchison":
            # Centring a standard normal of R^n leaves one of the tangent space; softmax is its inverse clr.
            return normal.softmax(-1)
        weights = normal.square()
        if self.metric_name == "euclidean":  # the sum of two squares is exponential
            other = self._normal(n_samples, dtype=dtype, device=device, generator=generator)
            weights = weights + other.square()
        return weights / weights.sum(-1, keepdim=True)

    @property
    def log_volume(self) -> float:
        """Log of half the area of S^d (Fisher-Rao), of sqrt(n) / d! (Euclidean), infinite (Aitchison)."""
        n = self.dim + 1
        if self.metric_name == "fisher_rao":
            return 0.5 * n * math.log(math.pi) - math.lgamma(n / 2)
        return 0.5 * math.log(n) - math.lgamma(n) if self.metric_name == "euclidean" else math.inf
