"""What every space of this library shares: membership by dtype, and the sentences that errors are made of."""

import math
from typing import Any

import torch
from torch import Tensor

from .metric import TorchMetric

__all__ = ["Space", "check_dim", "tolerance"]


def check_dim(dim: int, least: int) -> int:
    """The dimension, or a ValueError if it is not an integer of at least `least`."""
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < least:
        raise ValueError(f"dim: expected an integer >= {least}, got {dim!r}")
    return dim


def tolerance(dtype: torch.dtype) -> float:
    """How far off a manifold a point of this dtype may be: 1e-5 in float32, 1e-9 in float64."""
    return {torch.float64: 1e-9, torch.float32: 1e-5}.get(dtype, 1e-2)


class Space:
    """Mixin for geomstats spaces. Subclasses say how far off a point is and how that reads."""

    dim: int
    shape: tuple[int, ...]
    metric: TorchMetric
    tangent_everywhere = False  # whether the tangent vectors are the same at every point

    def off(self, point: Tensor) -> Tensor:
        """How far `(*batch,)` each point is off the manifold; NaN where a coordinate is NaN."""
        raise NotImplementedError

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """How far `(*batch,)` each vector is from tangent, relative to its norm where that exceeds 1."""
        raise NotImplementedError

    def expectation(self) -> str:
        """What a point satisfies, for an error message: "unit norm"."""
        raise NotImplementedError

    def finding(self, point: Tensor) -> str:
        """What one point `(n,)` has instead, for an error message: "norm 2.0000"."""
        raise NotImplementedError

    def tangent_expectation(self) -> str:
        """What a tangent vector satisfies, for an error message."""
        raise NotImplementedError

    def belongs(self, point: Tensor, atol: float | None = None) -> Tensor:
        """Whether each point is on the manifold, shape `(*batch,)`; `atol` is by dtype unless given."""
        if point.shape[-1:] != self.shape:
            return torch.zeros(point.shape[:-1], dtype=torch.bool, device=point.device)
        return self.off(point) <= (tolerance(point.dtype) if atol is None else atol)

    def is_tangent(self, vector: Tensor, base_point: Tensor | None = None, atol: float | None = None) -> Tensor:
        """Whether each vector is tangent at `base_point`, shape `(*batch,)`; `atol` is by dtype unless given.

        Raises:
            ValueError: No `base_point`, where tangent vectors depend on it.
        """
        batch = vector.shape[:-1]
        if base_point is None and not self.tangent_everywhere:
            raise ValueError(f"base_point: expected points, on which the tangent vectors of {self!r} depend, got None")
        if base_point is not None:
            batch = torch.broadcast_shapes(batch, base_point.shape[:-1])
        if vector.shape[-1:] != self.shape:
            return torch.zeros(batch, dtype=torch.bool, device=vector.device)
        off = self.off_tangent(vector, vector if base_point is None else base_point)
        return (off <= (tolerance(vector.dtype) if atol is None else atol)).expand(batch)

    def regularize(self, point: Tensor) -> Tensor:
        """The point itself: coordinates are unique."""
        return point

    def random_tangent_vec(
        self, base_point: Tensor, n_samples: int = 1, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """A standard normal vector of the ambient space, made tangent at `base_point`.

        Shape `(n_samples, n)`; that of `base_point` for one sample.
        """
        batch = () if n_samples == 1 else (n_samples,)
        shape = torch.broadcast_shapes(batch + self.shape, base_point.shape)
        noise = torch.randn(shape, dtype=base_point.dtype, device=base_point.device, generator=generator)
        return self.to_tangent(noise, base_point)

    def to_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """The tangent vector `(*batch, n)` nearest to `vector`."""
        raise NotImplementedError

    def projection(self, point: Tensor) -> Tensor:
        """The nearest point `(*batch, n)` of the space."""
        raise NotImplementedError

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Random points `(n_samples, n)`, or `(n,)` for one sample; `bound`, from geomstats, has no use here."""
        raise NotImplementedError

    @property
    def log_volume(self) -> float:
        """Log of the Riemannian volume of the whole space; infinity where it has none."""
        return math.inf

    @property
    def volume(self) -> float:
        """Riemannian volume of the whole space: infinity where it has none, 0.0 where it underflows."""
        return math.exp(self.log_volume) if self.log_volume < 709 else math.inf

    def _normal(self, n_samples: int, **options: Any) -> Tensor:
        """Standard normal `(n_samples, n)`, or `(n,)` for one sample as in geomstats."""
        batch = () if n_samples == 1 else (n_samples,)
        return torch.randn(batch + self.shape, **options)
