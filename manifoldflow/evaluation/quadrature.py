"""Quadrature rules on small spaces: nodes and weights of the integral of a density over the whole space."""

import math
from collections.abc import Callable
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import check_integer
from ..manifolds import Hypersphere, Simplex, Torus

__all__ = ["has_quadrature", "quadrature"]

Rule = Callable[[int], tuple[Tensor, Tensor]]


@singledispatch
def _rule(space: Manifold) -> Rule | None:
    """The rule of a space as a function of its order; None where there is none."""
    return None


def has_quadrature(space: Manifold) -> bool:
    """Whether `quadrature` knows the space."""
    return _rule(space) is not None


def quadrature(space: Manifold, order: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of an integral over a space, with respect to its reference measure.

    On S^1 and tori of at most two angles the trapezoidal rule, which converges faster than any power of the order for
    smooth densities; on S^2 Gauss-Legendre in the height times the trapezoidal rule in longitude; on simplices of at
    most three parts Gauss-Legendre, through the square for three.

    Args:
        space: `Hypersphere(1)`, `Hypersphere(2)`, `Torus(1)`, `Torus(2)`, `Simplex(1)` or `Simplex(2)`.
        order: Nodes in each of the two directions (twice as many in longitude).

    Returns:
        Points `(m, n)` and weights `(m,)`, float64; the weights add up to the space's volume.

    Raises:
        ValueError: A space without a rule, or an order below 2.

    Example:
        >>> points, weights = quadrature(mf.Hypersphere(2), 20)
        >>> bool(torch.isclose(weights.sum(), torch.tensor(4 * torch.pi, dtype=torch.float64)))
        True
    """
    rule = _rule(space)
    if rule is None:
        raise ValueError(
            f"space: expected a sphere or torus of dimension 1 or 2, or a simplex of at most three parts, got {space!r}"
        )
    return rule(check_integer("order", order, least=2))


def _gauss(order: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = (high - low) / 2
    return torch.from_numpy(low + half * (nodes + 1)), torch.from_numpy(half * weights)


def _around(order: int) -> tuple[Tensor, Tensor]:
    """Equidistant angles in [-pi, pi), none of them an end, and their weights."""
    angles = (torch.arange(order, dtype=torch.float64) + 0.5) / order * 2 * math.pi - math.pi
    return angles, torch.full((order,), 2 * math.pi / order, dtype=torch.float64)


def _product(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Both coordinates and the weight of every pair of nodes, flat."""
    a, b = torch.meshgrid(first[0], second[0], indexing="ij")
    return a.flatten(), b.flatten(), torch.outer(first[1], second[1]).flatten()


@_rule.register
def _(space: Hypersphere) -> Rule | None:
    def circle(order: int) -> tuple[Tensor, Tensor]:
        angle, weight = _around(order)
        return torch.stack([angle.cos(), angle.sin()], dim=-1), weight

    def sphere(order: int) -> tuple[Tensor, Tensor]:
        z, angle, weight = _product(_gauss(order, -1, 1), _around(2 * order))
        radius = (1 - z.square()).sqrt()
        return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=-1), weight

    return {1: circle, 2: sphere}.get(space.dim)


@_rule.register
def _(space: Torus) -> Rule | None:
    def circle(order: int) -> tuple[Tensor, Tensor]:
        angle, weight = _around(order)
        return angle[:, None], weight

    def square(order: int) -> tuple[Tensor, Tensor]:
        a, b, weight = _product(_around(order), _around(order))
        return torch.stack([a, b], dim=-1), weight

    return {1: circle, 2: square}.get(space.dim)


@_rule.register
def _(space: Simplex) -> Rule | None:
    def pair(order: int) -> tuple[Tensor, Tensor]:
        x, weight = _gauss(order, 0, 1)
        return torch.stack([x, 1 - x], dim=-1), weight

    def triangle(order: int) -> tuple[Tensor, Tensor]:
        # The square onto the triangle: (a, b) to (a, (1 - a) b), with the Jacobian 1 - a.
        a, b, weight = _product(_gauss(order, 0, 1), _gauss(order, 0, 1))
        return torch.stack([a, (1 - a) * b, (1 - a) * (1 - b)], dim=-1), weight * (1 - a)

    return {1: pair, 2: triangle}.get(space.dim)
