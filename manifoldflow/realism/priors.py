"""Test priors with a shape: Gaussian mixtures in the plane, padded with independent noise to any dimension."""

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ..distributions.base import draw_components

__all__ = ["PlanarMixture", "c_rings", "semicircle", "spiral", "two_moons"]


class PlanarMixture(TorchDistribution):
    r"""A Gaussian mixture in the first two coordinates, independent :math:`N(0, v)` in the others.

    The density is with respect to Lebesgue measure on R^D. Evaluating it costs K operations in the plane and
    one norm, whatever D is.

    Args:
        locs: Means in the plane, shape `(K, 2)`, float32 or float64.
        covariances: Covariances in the plane, shape `(K, 2, 2)`, positive definite.
        weights: Weights of the components, shape `(K,)`, positive; normalised here. None for equal ones.
        dim: The dimension D, at least 2.
        rest_variance: The variance v of the coordinates beyond the plane.

    Raises:
        ValueError: A shape, a dimension, a weight or a covariance that does not fit.
    """

    arg_constraints = {  # noqa: RUF012 (the distribution contract of torch)
        "locs": constraints.independent(constraints.real, 2),
        "covariances": constraints.independent(constraints.positive_definite, 1),
        "weights": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = False  # the component is a discrete choice

    def __init__(
        self,
        locs: Tensor,
        covariances: Tensor,
        weights: Tensor | None = None,
        *,
        dim: int = 2,
        rest_variance: float = 0.5,
        validate_args: bool | None = None,
    ) -> None:
        if locs.ndim != 2 or locs.shape[1] != 2 or covariances.shape != (len(locs), 2, 2):
            raise ValueError(
                f"locs, covariances: expected shapes (K, 2) and (K, 2, 2), got {tuple(locs.shape)} and "
                f"{tuple(covariances.shape)}"
            )
        if dim < 2 or not rest_variance > 0:
            raise ValueError(
                f"dim, rest_variance: expected dim >= 2 and a positive variance, got {dim}, {rest_variance}"
            )
        self.locs, self.covariances = locs, covariances
        weights = torch.ones_like(locs[:, 0]) if weights is None else weights
        self.weights = weights / weights.sum()
        self.dim, self.rest_variance = dim, float(rest_variance)
        super().__init__(torch.Size(), torch.Size([dim]), validate_args=validate_args)
        self._factors = torch.linalg.cholesky(covariances.double()).to(locs.dtype)
        inverse = torch.linalg.inv(torch.linalg.cholesky(covariances.double()))
        self._whiten = inverse.to(locs.dtype)
        self._centres = torch.einsum("kij,kj->ki", inverse, locs.double()).to(locs.dtype)
        log_det = inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        rest = (dim - 2) * 0.5 * math.log(2 * math.pi * self.rest_variance)
        self._log_scale = (self.weights.double().log() + log_det - math.log(2 * math.pi) - rest).to(locs.dtype)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "PlanarMixture":
        """The same law for every element of a batch."""
        new = self._get_checked_instance(PlanarMixture, _instance)
        new.__dict__.update(self.__dict__)
        new._batch_shape = torch.Size(batch_shape)
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at `value` of shape `(..., D)`, shape `(...)`; finite far out, with finite gradients."""
        if self._validate_args:
            self._validate_sample(value)
        flat = self._whiten.reshape(-1, 2).T.to(value)
        white = (value[..., :2] @ flat).unflatten(-1, (-1, 2)) - self._centres.to(value)
        planar = torch.logsumexp(self._log_scale.to(value) - 0.5 * white.square().sum(-1), -1)
        log_prob = planar - 0.5 / self.rest_variance * value[..., 2:].square().sum(-1)
        return log_prob.expand(torch.broadcast_shapes(log_prob.shape, self.batch_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws of shape `(*sample_shape, *batch, D)`."""
        return self.sample_component(sample_shape)[0]

    def sample_component(self, sample_shape: Any = ()) -> tuple[Tensor, Tensor]:
        """Draws `(*sample_shape, *batch, D)` and the component that each came from."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            component = draw_components(self.weights, shape)
            return self.sample_given(component), component

    def sample_given(self, component: Tensor) -> Tensor:
        """One draw from each of the named components, shape `(*component.shape, D)`."""
        noise = torch.randn(*component.shape, self.dim, dtype=self.locs.dtype, device=self.locs.device)
        planar = self.locs[component] + torch.einsum("...ij,...j->...i", self._factors[component], noise[..., :2])
        return torch.cat([planar, noise[..., 2:] * math.sqrt(self.rest_variance)], -1)


def semicircle(dim: int = 20, *, dtype: torch.dtype = torch.float32) -> PlanarMixture:
    """Three Gaussians along a half circle (equation 20 of arXiv 1904.03445); 0.5 on the rest of the diagonal."""
    locs = torch.tensor([[2.0, 6.0], [0.0, 0.0], [2.0, -6.0]], dtype=dtype)
    covariances = torch.tensor([[[5, 2], [2, 2]], [[1, 0], [0, 3]], [[5, -2], [-2, 2]]], dtype=dtype)
    return PlanarMixture(locs, covariances, dim=dim)


def _along(curve: Tensor, width: float, dim: int) -> PlanarMixture:
    """Equal round Gaussians of standard deviation `width` on the points of a curve `(K, 2)`."""
    covariances = width**2 * torch.eye(2, dtype=curve.dtype).expand(len(curve), 2, 2)
    return PlanarMixture(curve, covariances, dim=dim, rest_variance=width**2)


def c_rings(
    dim: int = 2,
    *,
    gap: float = 1.2,
    components: int = 16,
    radius: float = 4.0,
    width: float = 0.5,
    dtype: torch.dtype = torch.float32,
) -> PlanarMixture:
    """A C: Gaussians on a ring with an opening of `gap` radians at the right; the way round is long.

    The first and last components are the two tips of the C.
    """
    angle = torch.linspace(gap / 2, 2 * math.pi - gap / 2, components, dtype=dtype)
    return _along(radius * torch.stack([angle.cos(), angle.sin()], -1), width, dim)


def two_moons(
    dim: int = 2, *, components: int = 12, width: float = 0.35, dtype: torch.dtype = torch.float32
) -> PlanarMixture:
    """Two interleaving half circles of radius 3; the first half of the components is the upper moon."""
    angle = torch.linspace(0, math.pi, components, dtype=dtype)
    upper = torch.stack([3 * angle.cos(), 3 * angle.sin()], -1)
    lower = torch.stack([3 - 3 * angle.cos(), 1.5 - 3 * angle.sin()], -1)
    return _along(torch.cat([upper, lower]), width, dim)


def spiral(
    dim: int = 2,
    *,
    turns: float = 1.5,
    components: int = 24,
    width: float = 0.4,
    dtype: torch.dtype = torch.float32,
) -> PlanarMixture:
    """Gaussians along an Archimedean spiral from radius 1 to 6; the first component is the inner end."""
    share = torch.linspace(0, 1, components, dtype=dtype)
    radius, angle = 1 + 5 * share, 2 * math.pi * turns * share
    return _along(radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1), width, dim)
