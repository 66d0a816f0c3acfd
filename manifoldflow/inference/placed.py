"""What a flow guide does around its flow: sites as points of few kinds of space, and where these points are put.

A flow learns shapes best at the scale of its space. So it moves points that fill it, and a last map brings them to the
place and the size of the posterior: for numbers a shift and a scale, for directions and angles a dilation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from pyro.distributions.constraints import sphere, unit_lower_cholesky
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import IndependentTransform

from .._geomstats import Manifold
from ..charts import IsometricLogRatio
from ..distributions.constraints import OnSpace
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from ..manifolds.torus import wrap
from .onto import Angle
from .reparam import onto_of, space_of
from .site_laws import POSITIVE, Start

__all__ = ["Piece", "Place", "pieces_of", "pieces_of_site", "place_on"]

_JOINT = 64
"""Up to so many numbers have a matrix of their correlations."""


@dataclass(frozen=True)
class Piece:
    """A part of a site's value, as a point of a sphere, a torus or R^k.

    Attributes:
        space: Where the point is.
        width: How many coordinates of the site it is.
        middle: From draws of these `(count, *batch, width)`, a value in their middle.
        pool: The kind of space that such pieces make together, of the sum of their sizes; None: each is a factor.
        ordered: Whether the coordinates have an order.
        put: From points `(*batch, size)`, the site's coordinates `(*batch, width)` and the log-volume `(*batch,)`.
        take: From the site's coordinates, the points.
    """

    space: Manifold
    width: int
    middle: Callable[[Tensor], Tensor]
    pool: Callable[[int], Manifold] | None = None
    ordered: bool = False
    put: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda x: (x, x.new_zeros(x.shape[:-1]))
    take: Callable[[Tensor], Tensor] = lambda value: value

    @property
    def size(self) -> int:
        """How many coordinates its point has."""
        return int(self.space.shape[0])


@singledispatch
def pieces_of(space: Manifold) -> list[Piece]:
    """A point of a space in pieces, whose coordinates follow each other; `pieces_of.register` adds a kind of space.

    Raises:
        ValueError: There is none.
    """
    raise ValueError(
        f"space: expected a sphere, torus, simplex, Euclidean space or a product of these, got {space!r}; pass "
        "the model through manifoldflow.inference.auto_reparam and take one of Pyro's guides"
    )


@pieces_of.register
def _(space: Hypersphere) -> list[Piece]:
    return [Piece(space, space.dim + 1, lambda draws: space.projection(draws.mean(0)))]


@pieces_of.register
def _(space: Torus) -> list[Piece]:
    return [Piece(space, space.dim, lambda draws: torch.atan2(draws.sin().mean(0), draws.cos().mean(0)), Torus)]


@pieces_of.register
def _(space: Euclidean) -> list[Piece]:
    return [_numbers(biject_to(constraints.real_vector), torch.Size(space.shape))]


@pieces_of.register
def _(space: Simplex) -> list[Piece]:
    return [_numbers(IsometricLogRatio(space.dim), torch.Size([space.dim + 1]))]


@pieces_of.register
def _(space: Product) -> list[Piece]:
    return [piece for factor in space.factors for piece in pieces_of(factor)]


def _numbers(way: Any, shape: torch.Size) -> Piece:
    """Numbers that a bijection of R^k makes into values of an event shape."""
    inner = torch.Size(way.inverse_shape(shape))
    each = way
    while isinstance(each, IndependentTransform):
        each = each.base_transform
    ordered = each.domain.event_dim == 0

    def put(x: Tensor) -> tuple[Tensor, Tensor]:
        z = x.reshape(x.shape[:-1] + inner)
        value = way(z)
        ladj = way.log_abs_det_jacobian(z, value)
        return value.reshape(*x.shape[:-1], -1), ladj.reshape(*x.shape[:-1], -1).sum(-1)

    def take(value: Tensor) -> Tensor:
        return way.inv(value.reshape(value.shape[:-1] + shape)).reshape(*value.shape[:-1], -1)

    def middle(draws: Tensor) -> Tensor:
        return draws.median(0).values if ordered else draws.mean(0)

    return Piece(Euclidean(inner.numel()), shape.numel(), middle, Euclidean, ordered, put, take)


def pieces_of_site(law: Any) -> list[Piece]:
    """The value of a site, flattened, in pieces, by its law."""
    shape = law.event_shape
    if isinstance(onto_of(law), Angle):  # torch's VonMises, whose support is said to be the real line
        return pieces_of(Torus(1)) * shape.numel()
    space = space_of(law.support, shape[-1]) if shape else None
    if space is None:
        return [_numbers(biject_to(law.support), shape)]
    return pieces_of(space) * shape[:-1].numel()


@dataclass(frozen=True)
class Place:
    """A map of a space onto itself that brings points to a place and a size.

    Attributes:
        start: From points in the middle `(*batch, n)` and a scale, the parameters by name.
        move: From points and the parameters, the points moved and the log-volume `(*batch,)`.
    """

    start: Callable[[Tensor, float], dict[str, Start]]
    move: Callable[..., tuple[Tensor, Tensor]]


@singledispatch
def place_on(space: Manifold) -> Place:
    """The map of a kind of space, with the parameters `loc` and `scale`."""
    raise ValueError(f"space: expected a sphere, a torus or R^n, got {space!r}; take its pieces one by one")


@place_on.register
def _(space: Euclidean) -> Place:
    """A shift, and a triangular matrix: linear correlations, which a flow would take long to learn."""
    joint = space.dim <= _JOINT

    def start(points: Tensor, scale: float) -> dict[str, Start]:
        found = {
            "loc": Start(points, constraints.real, 1),
            "scale": Start(torch.full_like(points, scale), POSITIVE, 1),
        }
        if joint:
            eye = torch.eye(space.dim, dtype=points.dtype, device=points.device)
            found["mix"] = Start(eye.repeat(*points.shape[:-1], 1, 1), unit_lower_cholesky, 2)
        return found

    def move(z: Tensor, loc: Tensor, scale: Tensor, mix: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = z if mix is None else (mix @ z.unsqueeze(-1)).squeeze(-1)
        return loc + scale * z, scale.log().sum(-1).expand(z.shape[:-1])

    return Place(start, move)


@place_on.register
def _(space: Torus) -> Place:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        return {
            "loc": Start(points, OnSpace(space), 1),
            "scale": Start(torch.full_like(points, _dilation(scale)), POSITIVE, 1),
        }

    def move(z: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """tan(y / 2) = scale tan(z / 2), counted from 0; then the shift."""
        cos, sin = (z / 2).cos(), (z / 2).sin()
        ladj = scale.log() - (cos.square() + (scale * sin).square()).log()
        return wrap(loc + 2 * torch.atan2(scale * sin, cos)), ladj.sum(-1)

    return Place(start, move)


@place_on.register
def _(space: Hypersphere) -> Place:
    def start(points: Tensor, scale: float) -> dict[str, Start]:
        size = points.new_full(points.shape[:-1], _dilation(scale))
        return {"loc": Start(points, sphere, 1), "scale": Start(size, POSITIVE)}

    def move(z: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The stereographic plane that touches at loc, stretched: a conformal map.

        With p the tangent of half the angle to loc, p becomes scale p. Of (1 - cos) / 2 = down and 1 - down = up the
        new cosine is (up - scale^2 down) / w, w = up + scale^2 down; parts at right angles to loc shrink by scale / w.
        """
        down = (z - loc).square().sum(-1, keepdim=True) / 4
        stretched = scale.unsqueeze(-1).square() * down
        up = (z + loc).square().sum(-1, keepdim=True) / 4
        shrink = scale.unsqueeze(-1) / (up + stretched)
        moved = shrink * (z - (up - down) * loc) + (up - stretched) / (up + stretched) * loc
        return space.projection(moved), space.dim * shrink.squeeze(-1).log()

    return Place(start, move)


def _dilation(scale: float) -> float:
    """The dilation after which half of a uniform law on S^2 is within an angle of the centre."""
    return math.tan(min(scale, math.pi / 2) / 2)
