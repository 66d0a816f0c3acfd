"""What distributions that are rotationally symmetric about a mean direction share: arguments and moments."""

from typing import Any, ClassVar, Self

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..manifolds import Hypersphere
from .base import BaseDistribution
from .constraints import beside_loc, check_floating, finite_nonnegative

__all__ = ["AroundLoc"]


class AroundLoc(BaseDistribution):
    """A density of mu.s alone, with a mean direction `loc` and a `concentration`; argument checks and shapes."""

    arg_constraints: ClassVar[dict[str, Constraint]] = {"loc": sphere, "concentration": finite_nonnegative}
    support = sphere
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Tensor | float, *, validate_args: bool | None = None) -> None:
        if loc.dim() < 1 or loc.shape[-1] < 2:
            raise ValueError(f"loc: expected shape (*batch, n) with n >= 2, got {tuple(loc.shape)}")
        check_floating("loc", loc)
        concentration, batch_shape = beside_loc("concentration", concentration, loc)
        self.loc = loc.expand(*batch_shape, loc.shape[-1])
        self.concentration = concentration.expand(batch_shape)
        # A mean direction that the whole batch shares is kept as one row, which is faster to sample with.
        self._row = loc if loc.dim() == 1 else self.loc
        super().__init__(batch_shape, loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = self._get_checked_instance(type(self), _instance)
        batch_shape = Size(batch_shape)
        new.loc = self.loc.expand(batch_shape + self.event_shape)
        new.concentration = self.concentration.expand(batch_shape)
        new._row = self._row if self._row.dim() == 1 else new.loc
        super(AroundLoc, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def ambient_dim(self) -> int:
        """n, the number of coordinates."""
        return self.event_shape[-1]

    @property
    def manifold(self) -> Manifold:
        return Hypersphere(self.ambient_dim - 1)

    @property
    def mode(self) -> Tensor:
        """The mean direction (any direction, where the concentration is 0)."""
        return self.loc

    @property
    def mean_resultant_length(self) -> Tensor:
        """E[mu.s], shape `batch`."""
        raise NotImplementedError

    @property
    def cosine_variance(self) -> Tensor:
        """The variance of mu.s, shape `batch`."""
        raise NotImplementedError

    @property
    def transverse_variance(self) -> Tensor:
        """The variance of e.s for a unit vector e orthogonal to mu, E[1 - (mu.s)^2] / (n - 1), shape `batch`."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, inside the sphere, shape `(*batch, n)`."""
        return self.mean_resultant_length[..., None] * self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate, the diagonal of `covariance_matrix`, shape `(*batch, n)`."""
        across = self.transverse_variance[..., None]
        return across + (self.cosine_variance[..., None] - across) * self.loc.square()

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the coordinates, shape `(*batch, n, n)`."""
        across = self.transverse_variance[..., None, None]
        outer = self.loc[..., :, None] * self.loc[..., None, :]
        identity = torch.eye(self.ambient_dim, dtype=self.loc.dtype, device=self.loc.device)
        return across * identity + (self.cosine_variance[..., None, None] - across) * outer

    def _squared_chord(self, value: Tensor) -> Tensor:
        """|s - mu|^2 = 2 (1 - mu.s) as float64, with the digits that 1 - mu.s would lose near the mode."""
        # In float64: where log density and normaliser nearly cancel, float32 squares would show.
        difference = value.double() - self._row.double()
        return (difference * difference).sum(-1)
