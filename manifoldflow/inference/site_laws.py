"""The laws that guides give to single sites: one family for each kind of space, and a normal for the rest."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any

import torch
from pyro.distributions import Normal, TransformedDistribution
from pyro.distributions.constraints import softplus_positive, sphere
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..distributions import Dirichlet, Gaussian, Joint, VonMises, VonMisesFisher
from ..distributions.constraints import OnSpace
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

__all__ = ["SiteLaw", "Start", "family_of", "normal_through"]

POSITIVE = softplus_positive


@dataclass(frozen=True)
class Start:
    """A parameter of a guide's law before training.

    Attributes:
        value: `(*batch, ...)`.
        constraint: What it satisfies.
        event_dim: How many of its last dimensions belong to one point.
    """

    value: Tensor
    constraint: Constraint
    event_dim: int = 0


@dataclass(frozen=True)
class SiteLaw:
    """A family of laws of the points of one site.

    Attributes:
        start: From points `(*batch, n)` and a scale in radians or units, the parameters by name.
        law: From the parameters, the law.
        centre: From the parameters, a point in the middle.
        quantiles: From probabilities `(q,)` and the parameters, values `(q, *batch, n)`; None without an order.
    """

    start: Callable[[Tensor, float], dict[str, Start]]
    law: Callable[..., Any]
    centre: Callable[..., Tensor]
    quantiles: Callable[..., Tensor] | None = None


@singledispatch
def family_of(space: Manifold) -> SiteLaw:
    """The family of laws on a kind of space; `family_of.register` adds one.

    Raises:
        ValueError: There is none.
    """
    raise ValueError(
        f"space: expected a sphere, torus, simplex, Euclidean space or a product of these, got {space!r}; pass "
        "the model through manifoldflow.inference.auto_reparam and take one of Pyro's guides"
    )


@family_of.register
def _(space: Hypersphere) -> SiteLaw:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        kappa = points.new_full(points.shape[:-1], scale**-2)
        return {"loc": Start(points, sphere, 1), "concentration": Start(kappa, POSITIVE)}

    return SiteLaw(start, partial(VonMisesFisher, validate_args=False), lambda loc, concentration: loc)


@family_of.register
def _(space: Torus) -> SiteLaw:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        kappa = torch.full_like(points, scale**-2)
        return {"loc": Start(points, OnSpace(space), 1), "concentration": Start(kappa, POSITIVE, 1)}

    def quantiles(levels: Tensor, loc: Tensor, concentration: Tensor) -> Tensor:
        levels = levels.reshape(-1, *[1] * loc.dim()).expand(len(levels), *loc.shape)
        return VonMises(loc, concentration, validate_args=False).icdf(levels)

    return SiteLaw(start, partial(VonMises, validate_args=False), lambda loc, concentration: loc, quantiles)


@family_of.register
def _(space: Simplex) -> SiteLaw:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        size = points.shape[-1]
        inner = (points + 1 / size) / 2
        total = max(size, scale**-2)  # a coordinate s has the variance s (1 - s) / (total + 1)
        return {"concentration": Start(total * inner, POSITIVE, 1)}

    def mean(concentration: Tensor) -> Tensor:
        return concentration / concentration.sum(-1, keepdim=True)

    return SiteLaw(start, partial(Dirichlet, validate_args=False), mean)


@family_of.register
def _(space: Euclidean) -> SiteLaw:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        return {
            "loc": Start(points, constraints.real, 1),
            "scale": Start(torch.full_like(points, scale), POSITIVE, 1),
        }

    def quantiles(levels: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        return Normal(loc, scale, validate_args=False).icdf(levels.reshape(-1, *[1] * loc.dim()))

    return SiteLaw(start, partial(Gaussian, validate_args=False), lambda loc, scale: loc, quantiles)


@family_of.register
def _(space: Product) -> SiteLaw:
    """The factors' laws, independent; the parameters are numbered."""
    families = [family_of(factor) for factor in space.factors]

    def start(points: Tensor, scale: float) -> dict[str, Start]:
        parts = zip(families, space.split(points))
        return {f"{k}_{i}": v for i, (f, x) in enumerate(parts) for k, v in f.start(x, scale).items()}

    def own(parameters: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        found: list[dict[str, Tensor]] = [{} for _ in families]
        for name, value in parameters.items():
            key, _, number = name.rpartition("_")
            found[int(number)][key] = value
        return found

    def law(**parameters: Tensor) -> Joint:
        return Joint([f.law(**p) for f, p in zip(families, own(parameters))], space, validate_args=False)

    def centre(**parameters: Tensor) -> Tensor:
        return space.join([f.centre(**p) for f, p in zip(families, own(parameters))])

    return SiteLaw(start, law, centre)


def normal_through(support: Constraint, event_dim: int) -> SiteLaw:
    """Independent normals through torch's bijection with the support, as in Pyro's `AutoNormal`."""
    way = biject_to(support)
    inner = event_dim - way.codomain.event_dim + way.domain.event_dim
    plain = way == biject_to(constraints.real) or support is constraints.real_vector

    def start(points: Tensor, scale: float) -> dict[str, Start]:
        loc = way.inv(points)
        return {
            "loc": Start(loc, constraints.real, inner),
            "scale": Start(torch.full_like(loc, scale), POSITIVE, inner),
        }

    def law(loc: Tensor, scale: Tensor) -> Any:
        normal = Normal(loc, scale, validate_args=False).to_event(inner)
        return normal if plain else TransformedDistribution(normal, [way], validate_args=False)

    def quantiles(levels: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        return way(Normal(loc, scale, validate_args=False).icdf(levels.reshape(-1, *[1] * loc.dim())))

    # coordinates of a vector-valued bijection (a simplex) have no order of their own
    return SiteLaw(start, law, lambda loc, scale: way(loc), quantiles if way.domain.event_dim == 0 or plain else None)


def cap_radius(concentration: Tensor, size: int, level: float) -> Tensor:
    """The angle about the mean within which a von Mises-Fisher law on S^{size - 1} has a probability."""
    law = VonMisesFisher(torch.eye(size, dtype=concentration.dtype, device=concentration.device)[0], concentration)
    return law.angle.icdf(torch.full_like(concentration, level)).clamp(max=math.pi)
