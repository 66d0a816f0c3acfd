r"""The kernels of a space: a law about each point, with one width, and the log of a weighted sum of such laws.

On a sphere, the von Mises-Fisher density is a Gaussian of the chord, :math:`C e^{\kappa} e^{-\kappa |x - y|^2 / 2}`; on
a product of circles so is the product of von Mises densities; on a simplex the normal law of the isometric log-ratios.
All of these are one sum of Gaussians in an embedding of the space, `log_sums`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..._geomstats import Manifold
from ...charts import IsometricLogRatio
from ...manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, is_eager
from ...special import log_sphere_area, vmf_log_peak
from ..dirichlet import Dirichlet
from ..spherical.von_mises_fisher import VonMisesFisher
from ..wrapped_normal import WrappedNormal
from .log_sums import Terms, log_sums

__all__ = ["LawKernel", "SpaceKernel", "has_uniform", "kernel_of", "log_uniform", "uniform_points"]

_BLOCK = 1 << 20  # numbers in one block of laws by points


class SpaceKernel(ABC):
    """A law about each of some points, of a width that each may have its own."""

    @abstractmethod
    def log_sums(
        self,
        value: Tensor,
        points: Tensor,
        widths: Tensor,
        log_weights: Tensor,
        *,
        leave_one_out: bool = False,
        dense: bool = False,
    ) -> Tensor:
        """Log of the weighted sum of the laws about `points` (m, n) at `value` (q, n), float64, shape `(q,)`."""

    @abstractmethod
    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        """One draw from the law about each of the points `(*shape, n)`."""


class Embedded(SpaceKernel):
    """A kernel that is a Gaussian in the coordinates of an embedding; each space says which."""

    def embed(self, points: Tensor) -> Tensor:
        """Coordinates `(*batch, e)` in which the kernel is a Gaussian of precision 1 / width^2."""
        return points

    def log_peak(self, widths: Tensor) -> Tensor:
        """Log density at the kernel's centre, in the coordinates of the embedding's volume."""
        raise NotImplementedError

    def log_volume(self, points: Tensor) -> Tensor | float:
        """Log of the embedding's volume relative to the space's reference measure."""
        return 0.0

    def log_sums(
        self,
        value: Tensor,
        points: Tensor,
        widths: Tensor,
        log_weights: Tensor,
        *,
        leave_one_out: bool = False,
        dense: bool = False,
    ) -> Tensor:
        same = is_eager() and not widths.requires_grad and bool((widths == widths[:1]).all())
        peaks = self.log_peak(widths[:1] if same else widths)
        terms = Terms(self.embed(points), log_weights + peaks, widths.square().reciprocal())
        sums = log_sums(self.embed(value), terms, leave_one_out=leave_one_out, dense=dense)
        return sums + self.log_volume(value)


class SphereKernel(Embedded):
    """von Mises-Fisher laws, of concentration 1 / width^2."""

    def __init__(self, dim: int) -> None:
        self.ambient_dim = dim + 1

    def log_peak(self, widths: Tensor) -> Tensor:
        return vmf_log_peak(widths.square().reciprocal(), self.ambient_dim) - log_sphere_area(self.ambient_dim)

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        return VonMisesFisher(points, widths.square().reciprocal(), validate_args=False).sample()


class TorusKernel(Embedded):
    """Products of von Mises laws of the angles, each of concentration 1 / width^2."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.circle = SphereKernel(1)

    def embed(self, points: Tensor) -> Tensor:
        return torch.cat([points.cos(), points.sin()], dim=-1)

    def log_peak(self, widths: Tensor) -> Tensor:
        return self.dim * self.circle.log_peak(widths)

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        pairs = torch.stack([points.cos(), points.sin()], dim=-1)
        x, y = self.circle.sample(pairs, widths[..., None].expand(points.shape)).unbind(-1)
        return torch.atan2(y, x)


class FlatKernel(Embedded):
    """Normal laws in R^d."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def log_peak(self, widths: Tensor) -> Tensor:
        return -self.dim * (widths.log() + 0.5 * math.log(2 * math.pi))

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        return points + widths[..., None] * torch.randn_like(points)


class LogRatioKernel(FlatKernel):
    """Normal laws of the isometric log-ratios, as densities on the first d coordinates of the simplex."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.chart = IsometricLogRatio(dim)

    def embed(self, points: Tensor) -> Tensor:
        return self.chart.from_log(_log(points))

    def log_volume(self, points: Tensor) -> Tensor:
        return -_log(points).sum(-1) - self.chart.log_volume_offset

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        return self.chart.to_log(super().sample(self.embed(points), widths)).exp()


def _log(points: Tensor) -> Tensor:
    """On the boundary, where the density vanishes, that of the smallest number: a far point rather than NaN."""
    return points.clamp(min=torch.finfo(points.dtype).tiny).log()


class ProductKernel(Embedded):
    """The product of the factors' kernels, of width / sqrt(weight) in each factor."""

    def __init__(self, space: Product) -> None:
        self.space = space
        self.parts = [embedded_kernel(factor) for factor in space.factors]
        self.roots = [math.sqrt(weight) for weight in space.weights]

    def embed(self, points: Tensor) -> Tensor:
        blocks = zip(self.parts, self.roots, self.space.split(points))
        return torch.cat([root * part.embed(x) for part, root, x in blocks], dim=-1)

    def log_peak(self, widths: Tensor) -> Tensor:
        return torch.stack([part.log_peak(widths / root) for part, root in zip(self.parts, self.roots)]).sum(0)

    def log_volume(self, points: Tensor) -> Tensor | float:
        return sum(part.log_volume(x) for part, x in zip(self.parts, self.space.split(points)))

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        blocks = zip(self.parts, self.roots, self.space.split(points))
        return self.space.join([part.sample(x, widths / root) for part, root, x in blocks])


@singledispatch
def embedded_kernel(space: Any) -> Embedded:
    """The kernel of a space that is a Gaussian in an embedding; register a space of your own with `.register`."""
    raise ValueError(
        f"space: expected a Hypersphere, a Torus, a Simplex, a Euclidean space or a Product of these, got {space!r}; "
        "pass kernel=, a function from points and widths to distributions"
    )


@embedded_kernel.register
def _(space: Hypersphere) -> Embedded:
    return SphereKernel(space.dim)


@embedded_kernel.register
def _(space: Torus) -> Embedded:
    return TorusKernel(space.dim)


@embedded_kernel.register
def _(space: Euclidean) -> Embedded:
    return FlatKernel(space.dim)


@embedded_kernel.register
def _(space: Simplex) -> Embedded:
    return LogRatioKernel(space.dim)


@embedded_kernel.register
def _(space: Product) -> Embedded:
    return ProductKernel(space)


class LawKernel(SpaceKernel):
    """Any distributions: a function from points `(*batch, n)` and widths `(*batch,)` to a batch of them."""

    def __init__(self, law: Callable[[Tensor, Tensor], Distribution]) -> None:
        self.law = law

    def log_sums(
        self,
        value: Tensor,
        points: Tensor,
        widths: Tensor,
        log_weights: Tensor,
        *,
        leave_one_out: bool = False,
        dense: bool = False,
    ) -> Tensor:
        laws = self.law(points, widths)
        parts = []
        for rows in torch.arange(len(value), device=value.device).split(max(1, _BLOCK // points.numel())):
            logs = laws.log_prob(value[rows, None, :]) + log_weights
            if leave_one_out:
                own = rows[:, None] == torch.arange(len(points), device=value.device)
                logs = torch.where(own, -math.inf, logs)
            parts.append(logs.logsumexp(-1))
        return torch.cat(parts) if parts else value.new_zeros(0)

    def sample(self, points: Tensor, widths: Tensor) -> Tensor:
        return self.law(points, widths).sample()


def kernel_of(space: Manifold, kernel: str | Callable[[Tensor, Tensor], Distribution]) -> SpaceKernel:
    """The kernel of that name on a space, or the one that a function gives."""
    if callable(kernel):
        return LawKernel(kernel)
    if kernel == "gaussian":
        return embedded_kernel(space)
    if kernel == "wrapped":
        return LawKernel(lambda points, widths: WrappedNormal(space, points, widths, validate_args=False))
    # The mode of each law is its point (J. Aitchison and I. Lauder, Applied Statistics 34, 1985).
    return LawKernel(
        lambda points, widths: Dirichlet(1 + points / widths.square()[..., None], validate_args=False),
    )


@singledispatch
def log_uniform(space: Any) -> float:
    """Log density of the uniform law with respect to the space's reference measure.

    Raises:
        ValueError: A space without one; register a space of your own here and, unless its `random_point` draws from
            this law, with `uniform_points`.
    """
    raise ValueError(f"uniform_share: expected 0 on {space!r}, which has no uniform law")


@log_uniform.register
def _(space: Hypersphere) -> float:
    return -log_sphere_area(space.dim + 1)


@log_uniform.register
def _(space: Torus) -> float:
    return -space.dim * math.log(2 * math.pi)


@log_uniform.register
def _(space: Simplex) -> float:
    return math.lgamma(space.dim + 1)


@log_uniform.register
def _(space: Product) -> float:
    return sum(log_uniform(factor) for factor in space.factors)


def has_uniform(space: Any) -> bool:
    """Whether the space has a uniform law in its reference measure."""
    try:
        log_uniform(space)
    except ValueError:
        return False
    return True


@singledispatch
def uniform_points(space: Any, count: int, **options: Any) -> Tensor:
    """Draws `(count, n)` of the law whose density `log_uniform` has."""
    points: Tensor = space.random_point(count, **options)
    return points.reshape(count, *space.shape)


@uniform_points.register
def _(space: Simplex, count: int, **options: Any) -> Tensor:
    """Uniform in Lebesgue measure, whatever the metric: `random_point` follows the metric's volume."""
    weights = torch.empty(count, space.dim + 1, **options).exponential_()  # positive, as the Aitchison metric wants
    return weights / weights.sum(-1, keepdim=True)


@uniform_points.register
def _(space: Product, count: int, **options: Any) -> Tensor:
    return space.join([uniform_points(factor, count, **options) for factor in space.factors])
