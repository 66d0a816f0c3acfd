"""The Gaussian with independent coordinates, as a base distribution on R^d."""

import math
from typing import Any, ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..manifolds import Euclidean
from .base import BaseDistribution
from .constraints import check_floating, finite_positive

__all__ = ["Gaussian"]


class Gaussian(BaseDistribution):
    r"""Normal distribution on R^d with independent coordinates, with respect to Lebesgue measure.

    Args:
        loc: Mean, shape `(*batch, d)`.
        scale: Standard deviations > 0, shape broadcastable with that of `loc`.

    Raises:
        ValueError: A shape does not broadcast, or `scale` is not positive and finite.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "loc": constraints.real_vector,
        "scale": constraints.independent(finite_positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor | float = 1.0, *, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc: expected shape (*batch, d), got a scalar")
        check_floating("loc", loc)
        scale = torch.as_tensor(scale, dtype=loc.dtype, device=loc.device)
        try:
            shape = torch.broadcast_shapes(loc.shape, scale.shape)
        except RuntimeError:
            raise ValueError(
                f"scale: expected a shape that broadcasts with {tuple(loc.shape)} of loc, got {tuple(scale.shape)}"
            ) from None
        self.loc = loc.expand(shape)
        self.scale = scale.expand(shape)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "Gaussian":
        new = self._get_checked_instance(Gaussian, _instance)
        batch_shape = Size(batch_shape)
        new.loc = self.loc.expand(batch_shape + self.event_shape)
        new.scale = self.scale.expand(batch_shape + self.event_shape)
        super(Gaussian, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def manifold(self) -> Manifold:
        return Euclidean(self.event_shape[-1])

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale.square()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        standard = (value - self.loc) / self.scale
        return -(0.5 * standard.square() + self.scale.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        return (self.scale.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        shape = self._extended_shape(sample_shape)
        return self.loc + self.scale * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
