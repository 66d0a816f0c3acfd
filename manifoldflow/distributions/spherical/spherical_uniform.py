"""The uniform distribution on a sphere."""

from functools import partial
from typing import ClassVar

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...manifolds import Hypersphere
from ...special import log_sphere_area
from ..base import BaseDistribution
from ..composed.parts import Parts, parts_of
from ..laws import Law, constant_log_density, law_of
from .polar import Direction
from .von_mises_fisher import cone

__all__ = ["SphericalUniform"]


class SphericalUniform(BaseDistribution):
    """Uniform distribution on the sphere S^d in R^{d+1}, with respect to surface area.

    Args:
        dim: Intrinsic dimension d >= 1, as in `Hypersphere(dim)`: points have d + 1 coordinates.
        dtype: Of samples; torch's default if not given.
        device: Of samples.

    Raises:
        ValueError: `dim` is not a positive integer.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    support = sphere
    has_rsample = True

    def __init__(
        self,
        dim: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._manifold = Hypersphere(dim)
        self._like = torch.zeros((), dtype=dtype, device=device)
        super().__init__(Size(), Size((dim + 1,)), validate_args=validate_args)

    @property
    def _dtype(self) -> torch.dtype:
        return self._like.dtype

    def __repr__(self) -> str:
        return f"SphericalUniform({self._manifold.dim})"

    @property
    def manifold(self) -> Manifold:
        return self._manifold

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, zero."""
        return self._like.new_zeros(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        """1/n in each coordinate."""
        return self._like.new_full(self.batch_shape + self.event_shape, 1 / self.event_shape[-1])

    @property
    def covariance_matrix(self) -> Tensor:
        """The identity over n, shape `(*batch, n, n)`."""
        return torch.diag_embed(self.variance)

    def log_prob(self, value: Tensor) -> Tensor:
        value = self._checked(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return value.new_full(shape, -log_sphere_area(self.event_shape[-1]))

    def entropy(self) -> Tensor:
        """Log of the surface area."""
        return self._like.new_full(self.batch_shape, log_sphere_area(self.event_shape[-1]))

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Normalised Gaussian vectors; there is no parameter to differentiate in."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self._like.dtype, device=self._like.device)
        return noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True)


@law_of.register
def _(base: SphericalUniform) -> Law:
    return Law.of(
        base,
        "uniform on the sphere",
        lift=Direction(base.event_shape[-1]),
        log_density=constant_log_density,
        is_uniform=True,
        variational=cone,
        tempered=lambda t: base,
    )


@parts_of.register
def _(law: SphericalUniform) -> Parts:
    return Parts(partial(_like, law.event_shape[-1] - 1), {"like": law._like})


def _like(dim: int, like: Tensor) -> SphericalUniform:
    return SphericalUniform(dim, dtype=like.dtype, device=like.device)
