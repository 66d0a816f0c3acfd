"""A base distribution as independent standard normal coordinates and a uniform direction, which can be combined."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Dirichlet as TorchDirichlet
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from ...distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher, VonMisesFisherAngle
from ...manifolds import is_eager
from ...manifolds.sphere_kernels import angle_of, any_direction
from ...special import log_ndtri
from .tables import GammaToNormal

__all__ = ["Coordinates", "Lift", "block_sizes", "has_quantiles", "lift_of"]


class Lift(ABC):
    """Maps points of a base to independent parts whose laws combinations can keep, and back.

    The parts are normal coordinates (a combination with weights w, over the root of the sum of w^2, has their law
    again) and a direction, uniform on the unit sphere of a `direction_dim`-dimensional space (as has a great circle
    between two, and the direction of a combination of normal vectors along them). Points are `(*batch, *event)`.
    """

    event_dim: int = 1
    direction_dim: int = 0

    @abstractmethod
    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        """Normal coordinates `(*batch, *event')` and directions `(*batch, n)` or None."""

    @abstractmethod
    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        """Points from both."""

    def spread(self, count: int = 1) -> Lift:
        """The same with `count` more batch dimensions at the end of the parameters' batch, for times or weights."""
        return self


def _spread(parameter: Tensor, event_dim: int, count: int) -> Tensor:
    if parameter.ndim == event_dim:
        return parameter
    batch = parameter.ndim - event_dim
    return parameter.reshape(*parameter.shape[:batch], *[1] * count, *parameter.shape[batch:])


@dataclass(frozen=True)
class Shifted(Lift):
    """A Gaussian with any covariance: the points less their mean (None for zero) combine as standard normal ones."""

    loc: Tensor | None = None
    event_dim: int = 1

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        return (points if self.loc is None else points - self.loc), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        return normal if self.loc is None else normal + self.loc

    def spread(self, count: int = 1) -> Lift:
        return self if self.loc is None else Shifted(_spread(self.loc, self.event_dim, count), self.event_dim)


@dataclass(frozen=True)
class Coordinates(Lift):
    """Independent coordinates with a distribution function: each is Gaussianised by it."""

    base: Distribution
    event_dim: int = 1

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        tiny = torch.finfo(torch.float64).eps
        return torch.special.ndtri(self.base.cdf(points.double()).clamp(tiny, 1 - tiny)), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        tiny = torch.finfo(torch.float64).eps  # two extreme coordinates combine to a probability that rounds to 0 or 1
        return self.base.icdf(torch.special.ndtr(normal).clamp(tiny, 1 - tiny))

    def spread(self, count: int = 1) -> Lift:
        batch = self.base.batch_shape
        if len(batch) <= self.event_dim:
            return self
        raise ValueError(
            f"base: expected one law for the whole batch of pairs, got the batch shape {tuple(batch)} with "
            f"event_dim={self.event_dim}; build one path for each law"
        )


@dataclass(frozen=True)
class Direction(Lift):
    """The uniform distribution on a sphere: nothing but a direction."""

    direction_dim: int

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        return points[..., :0], points

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        assert direction is not None
        return direction


@dataclass(frozen=True)
class AroundMean(Lift):
    """von Mises-Fisher on S^{n-1}, n > 2: the angle to the mean, Gaussianised, and the direction away from it."""

    loc: Tensor
    concentration: Tensor

    @property
    def direction_dim(self) -> int:  # type: ignore[override]
        return self.loc.shape[-1] - 1

    def _angle(self) -> VonMisesFisherAngle:
        return VonMisesFisherAngle(self.concentration[..., None], self.loc.shape[-1], validate_args=False)

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        loc = self.loc.expand(points.shape)
        theta = angle_of((points - loc).double(), (points + loc).double())
        away = points - (points * loc).sum(-1, keepdim=True) * loc
        size = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        lost = size <= 4 * torch.finfo(points.dtype).eps  # a point at the mean or opposite to it points nowhere
        away = torch.where(lost, any_direction(loc), away / torch.where(lost, 1, size))
        away = away - (away * loc).sum(-1, keepdim=True) * loc
        away = away / torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        return self._angle().to_normal(theta), away

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        assert direction is not None
        theta = self._angle().from_normal(normal)
        # Between nearly opposite directions, rounding turns the great circle out of the plane of directions.
        direction = direction - (direction * self.loc).sum(-1, keepdim=True) * self.loc
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        cosine, sine = theta.cos().to(direction.dtype), theta.sin().to(direction.dtype)
        return torch.addcmul(cosine * self.loc, sine, direction)

    def spread(self, count: int = 1) -> Lift:
        return AroundMean(_spread(self.loc, 1, count), _spread(self.concentration, 0, count))


@dataclass(frozen=True)
class OnCircle(Lift):
    """von Mises-Fisher on the circle: the signed angle to the mean, Gaussianised; a half circle has no direction
    left.
    """

    loc: Tensor
    concentration: Tensor

    def _angle(self) -> VonMisesFisherAngle:
        return VonMisesFisherAngle(self.concentration[..., None], 2, validate_args=False)

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        loc = self.loc.expand(points.shape)
        theta = angle_of((points - loc).double(), (points + loc).double())
        side = loc[..., :1] * points[..., 1:] - loc[..., 1:] * points[..., :1]
        g = self._angle().to_normal(theta)
        # P(angle > x) is half of P(|angle| > x) for x > 0.
        z = -log_ndtri(math.log(0.5) + torch.special.log_ndtr(-g))
        return torch.where(side < 0, -z, z), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        tail = (torch.special.log_ndtr(-normal.abs()) - math.log(0.5)).clamp_max(0)
        g = -log_ndtri(tail).clamp(-38, 38)
        theta = self._angle().from_normal(g)
        cosine, sine = (
            theta.cos().to(self.loc.dtype),
            torch.where(normal < 0, -theta.sin(), theta.sin()).to(self.loc.dtype),
        )
        turned = torch.stack([-self.loc[..., 1], self.loc[..., 0]], -1)
        return cosine * self.loc + sine * turned

    def spread(self, count: int = 1) -> Lift:
        return OnCircle(_spread(self.loc, 1, count), _spread(self.concentration, 0, count))


class Gammas(Lift):
    """Dirichlet as normalised independent Gammas: each point is given an independent Gamma(sum a) total, then
    Gaussianised.

    The total is what makes the coordinates independent; it is drawn once for every point. The first use of a shape a
    takes about 0.1 s, for its table.
    """

    def __init__(self, concentration: Tensor) -> None:
        self.total = concentration.double().sum(-1)
        self.dtype = concentration.dtype
        if concentration.ndim > 1 and bool(
            (concentration != concentration.reshape(-1, concentration.shape[-1])[0]).any()
        ):
            raise ValueError(
                "base: expected one concentration for the whole batch of pairs, got a batch of different ones; build "
                "one path for each"
            )
        self.row = concentration.detach().double().reshape(-1, concentration.shape[-1])[0]
        self.table = GammaToNormal(self.row)

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        total = self.total.reshape(-1)[0].expand(points.shape[:-1]).contiguous()
        log_total = torch._standard_gamma(total, generator=generator).log()
        # Near 0 the law of a coordinate x is x^(a - 1) dx: one that has underflowed is drawn anew from below the
        # smallest float, or all of them would come back as that float.
        tiny = torch.finfo(points.dtype).tiny
        log_s = points.double().clamp_min(tiny).log()
        lost = points < tiny
        if not is_eager() or bool(lost.any()):
            uniform = torch.rand(points.shape, dtype=torch.float64, device=points.device, generator=generator)
            log_s = torch.where(lost, log_s + uniform.clamp_min(1e-300).log() / self.row, log_s)
        return self.table.normal(log_s + log_total[..., None]), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        return self.table.log_gamma(normal).softmax(-1).to(self.dtype)


def has_quantiles(law: Any) -> bool:
    """Whether a distribution knows its distribution function and the inverse; torch's raise where they do not."""
    try:
        law.cdf(law.icdf(torch.tensor(0.5)))
    except (AttributeError, NotImplementedError):
        return False
    return True


def block_sizes(bases: Sequence[Any], n: int) -> list[int]:
    """Numbers of coordinates of bases that stand one after the other, which must be n together."""
    shapes = [tuple(base.event_shape) for base in bases]
    if any(len(shape) != 1 for shape in shapes) or sum(shape[0] for shape in shapes) != n:
        raise ValueError(f"base: expected bases with {n} coordinates together, got event shapes {shapes}")
    return [shape[0] for shape in shapes]


@singledispatch
def lift_of(base: Any) -> Lift:
    """The lift of a base distribution; `lift_of.register(type)` teaches matched paths a new one.

    Raises:
        ValueError: No law-preserving combination is known for the base.
    """
    raise ValueError(
        f"base: expected a Gaussian, von Mises-Fisher, Dirichlet or uniform distribution, or one with independent "
        f"coordinates and cdf and icdf, got {type(base).__name__}; use the method cauchy or linear instead"
    )


@lift_of.register
def _(base: Gaussian) -> Lift:
    return Shifted(base.loc)


@lift_of.register
def _(base: MultivariateNormal) -> Lift:
    return Shifted(base.loc)


@lift_of.register
def _(base: VonMisesFisher) -> Lift:
    kind = OnCircle if base.event_shape[-1] == 2 else AroundMean
    return kind(base.loc, base.concentration)


@lift_of.register
def _(base: SphericalUniform) -> Lift:
    return Direction(base.event_shape[-1])


@lift_of.register(Dirichlet)
@lift_of.register(TorchDirichlet)
def _(base: Any) -> Lift:
    return Gammas(base.concentration)


@lift_of.register
def _(base: Independent) -> Lift:
    event_dim = len(base.event_shape)
    if isinstance(base.base_dist, Normal):
        return Shifted(base.base_dist.loc, event_dim)
    if not has_quantiles(base.base_dist):
        return lift_of.dispatch(object)(base)
    return Coordinates(base.base_dist, event_dim)


@lift_of.register
def _(base: Distribution) -> Lift:
    if base.event_shape or not has_quantiles(base):
        return lift_of.dispatch(object)(base)
    return Coordinates(base)
