"""A base distribution as independent standard normal coordinates and a uniform direction, which can be combined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..manifolds import is_eager
from ..special.gamma_tables import GammaToNormal

__all__ = ["Coordinates", "Gammas", "Joined", "Lift", "LogRatios", "Shifted", "Through", "spread", "unvalidated"]


class Lift(ABC):
    """Maps points of a base to independent parts whose laws combinations can keep, and back.

    The parts are normal coordinates (a combination with weights w, over the root of the sum of w^2, has their law
    again) and a direction, uniform on the unit sphere of a `direction_dim`-dimensional space (as has a great circle
    between two, and the direction of a combination of normal vectors along them). Points are `(*batch, *event)`.
    """

    event_dim: int = 1
    direction_dim: int = 0
    draws: bool = False  # whether `encode` draws random numbers
    lifted_dim: int | None = None  # number of dimensions of the normal coordinates of a point; None for `event_dim`

    def __repr__(self) -> str:
        return type(self).__name__

    def normals(self, size: int) -> int:
        """How many normal coordinates a point of `size` numbers has."""
        return size

    def directions(self, size: int) -> list[tuple[int, int]]:
        """The dimension and the number of coordinates of each direction of a point of `size` numbers."""
        return [(self.direction_dim, size)] if self.direction_dim else []

    @abstractmethod
    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        """Normal coordinates `(*batch, *event')` and directions `(*batch, n)`, one after the other, or None."""

    @abstractmethod
    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        """Points from both."""

    def spread(self, count: int = 1) -> Lift:
        """The same with `count` more batch dimensions at the end of the parameters' batch, for times or weights."""
        return self


def spread(parameter: Tensor, event_dim: int, count: int) -> Tensor:
    """A parameter `(*batch, *event)` with `count` dimensions of size 1 after its batch; untouched without a batch."""
    if parameter.ndim == event_dim:
        return parameter
    batch = parameter.ndim - event_dim
    return parameter.reshape(*parameter.shape[:batch], *[1] * count, *parameter.shape[batch:])


@dataclass(frozen=True, repr=False)
class Shifted(Lift):
    """A Gaussian with any covariance: the points less their mean (None for zero) combine as standard normal ones."""

    loc: Tensor | None = None
    event_dim: int = 1

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        return (points if self.loc is None else points - self.loc), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        return normal if self.loc is None else normal + self.loc

    def spread(self, count: int = 1) -> Lift:
        return self if self.loc is None else Shifted(spread(self.loc, self.event_dim, count), self.event_dim)


@dataclass(frozen=True, repr=False)
class LogRatios(Lift):
    """A Gaussian in the log-ratios of compositions, of one scale in every direction, around the composition `loc`."""

    loc: Tensor

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        ratios = (points / self.loc).log()
        return ratios - ratios.mean(-1, keepdim=True), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        return (normal + self.loc.log()).softmax(-1)

    def spread(self, count: int = 1) -> Lift:
        return LogRatios(spread(self.loc, 1, count))


@dataclass(frozen=True, repr=False)
class Through(Lift):
    """A base in the coordinates of a chart: by the lift of the base itself.

    Args:
        lift: Of the base.
        chart: From coordinates to points of the base.
    """

    lift: Lift
    chart: Any

    @property
    def direction_dim(self) -> int:  # type: ignore[override]
        return self.lift.direction_dim

    def normals(self, size: int) -> int:
        return self.lift.normals(self.chart.ambient_dim)

    def directions(self, size: int) -> list[tuple[int, int]]:
        return self.lift.directions(self.chart.ambient_dim)

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        return self.lift.encode(self.chart(points), generator)

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        return self.chart.inv(self.lift.decode(normal, direction))

    def spread(self, count: int = 1) -> Lift:
        return Through(self.lift.spread(count), self.chart)


@dataclass(frozen=True, repr=False)
class Joined(Lift):
    """Independent laws whose points stand one after the other: each by its own lift.

    Args:
        lifts: Of the laws.
        sizes: Numbers of coordinates of their points.
    """

    lifts: tuple[Lift, ...]
    sizes: tuple[int, ...]

    @property
    def draws(self) -> bool:  # type: ignore[override]
        return any(lift.draws for lift in self.lifts)

    def normals(self, size: int) -> int:
        return sum(lift.normals(n) for lift, n in zip(self.lifts, self.sizes))

    def directions(self, size: int) -> list[tuple[int, int]]:
        return [one for lift, n in zip(self.lifts, self.sizes) for one in lift.directions(n)]

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        parts = [lift.encode(x, generator) for lift, x in zip(self.lifts, points.split(self.sizes, -1))]
        away = [direction for _, direction in parts if direction is not None]
        return torch.cat([normal.double() for normal, _ in parts], -1), torch.cat(away, -1) if away else None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        points, before = [], 0
        normals = normal.split([lift.normals(n) for lift, n in zip(self.lifts, self.sizes)], -1)
        for lift, n, own in zip(self.lifts, self.sizes, normals):
            width = sum(w for _, w in lift.directions(n))
            points.append(lift.decode(own, direction[..., before : before + width] if width else None))  # type: ignore[index]
            before += width
        return torch.cat([x.double() for x in points], -1)

    def spread(self, count: int = 1) -> Lift:
        return Joined(tuple(lift.spread(count) for lift in self.lifts), self.sizes)


@dataclass(frozen=True, repr=False)
class Coordinates(Lift):
    """Independent coordinates with a distribution function: each is Gaussianised by it.

    Args:
        base: The law of a coordinate, with `cdf` and `icdf`; its batch shape is that of a point, or a batch of them.
        event_dim: Number of dimensions of one point.
        count: How many dimensions stand between the batch and the point; see `Lift.spread`.
    """

    base: Distribution
    event_dim: int = 1
    count: int = 0

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        tiny = torch.finfo(torch.float64).eps
        return torch.special.ndtri(self.along(self.law.cdf, points.double()).clamp(tiny, 1 - tiny)), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        tiny = torch.finfo(torch.float64).eps  # two extreme coordinates combine to a probability that rounds to 0 or 1
        return self.along(self.law.icdf, torch.special.ndtr(normal).clamp(tiny, 1 - tiny))

    def spread(self, count: int = 1) -> Lift:
        return Coordinates(self.base, self.event_dim, count)

    @property
    def law(self) -> Distribution:
        """The law of a coordinate, which does not check values."""
        return unvalidated(self.base)

    def along(self, function: Callable[..., Tensor], *values: Tensor) -> Tensor:
        """`function`, which broadcasts with the law, of values `(*batch, *spread, *event)` of one shape."""
        if not self.count or len(self.base.batch_shape) <= self.event_dim:
            return function(*values)
        last = values[0].ndim - self.event_dim
        here, there = tuple(range(last - self.count, last)), tuple(range(self.count))
        return function(*[value.movedim(here, there) for value in values]).movedim(there, here)


def unvalidated(law: Distribution) -> Distribution:
    """A copy that does not check values: some laws of torch refuse float64 values that round to 1 in float32."""
    law = copy(law)
    law._validate_args = False
    if hasattr(law, "base_dist"):
        law.base_dist = unvalidated(law.base_dist)
    return law


class Gammas(Lift):
    """Dirichlet as normalised independent Gammas: each point is given an independent Gamma(sum a) total, then
    Gaussianised.

    The total is what makes the coordinates independent; it is drawn once for every point. The first use of a shape a
    takes about 0.1 s, for its table.

    Args:
        concentration: a, `(n,)`.
    """

    draws = True

    def __init__(self, concentration: Tensor) -> None:
        self.dtype = concentration.dtype
        self.row = concentration.detach().double()

    @cached_property
    def table(self) -> GammaToNormal:
        return GammaToNormal(self.row)

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        total = self.row.sum().expand(points.shape[:-1]).contiguous()
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
