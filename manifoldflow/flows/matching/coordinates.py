"""Coordinates in which a field is integrated: a space's own, or log-ratios on a simplex."""

import math
from collections.abc import Sequence
from functools import reduce, singledispatch

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...charts import IsometricLogRatio
from ...manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, broadcasting
from ...manifolds.rows import dot
from .divergence import to_tangent

__all__ = ["Coordinates", "coordinates_of"]


class Coordinates:
    """The space's own coordinates.

    Attributes:
        space: Where the points live.
        inner: Where they are integrated.
    """

    def __init__(self, space: Manifold, inner: Manifold | None = None) -> None:
        self.space = space
        self.inner = space if inner is None else inner

    def to(self, x: Tensor) -> Tensor:
        """Inner coordinates of points `(*batch, *event)`."""
        return x

    def back(self, y: Tensor) -> Tensor:
        """Points of inner coordinates."""
        return y

    def tangent(self, vector: Tensor, x: Tensor) -> Tensor:
        """The tangent vector at x that a network's output stands for."""
        return to_tangent(self.space, vector, x)

    def squared_error(self, vector: Tensor, target: Tensor, x: Tensor) -> Tensor:
        """Squared norm `(*batch,)` of the difference between that tangent vector and another one."""
        return broadcasting(self.space.metric).squared_norm(self.tangent(vector, x) - target, x)

    def inner_velocity(self, vector: Tensor, x: Tensor) -> Tensor:
        """The tangent vector in inner coordinates."""
        return self.tangent(vector, x)

    def log_volume(self, y: Tensor) -> Tensor:
        """Log-volume `(*batch,)` of `back`."""
        return y.new_zeros(y.shape[: y.ndim - len(self.inner.shape)])


class Flat(Coordinates):
    """Those of a space whose metric is that of its coordinates, everywhere the same."""

    def tangent(self, vector: Tensor, x: Tensor) -> Tensor:
        return vector

    def squared_error(self, vector: Tensor, target: Tensor, x: Tensor) -> Tensor:
        return (vector - target).square().sum(-1)


class OnSphere(Coordinates):
    """Unit vectors, whose metric is that of the space around."""

    def squared_error(self, vector: Tensor, target: Tensor, x: Tensor) -> Tensor:
        """The target is tangent, so that the difference projected is the projection's difference."""
        error = vector - target
        return torch.addcmul(error, x, dot(error, x), value=-1).square().sum(-1)


class LogRatios(Coordinates):
    """Isometric log-ratios z. A network's output a is the velocity of the log-coordinates.

    s' = s (a - <s, a>) vanishes on the faces, as does every field whose flow keeps a density inside; z' is linear in a.
    """

    def __init__(self, space: Simplex) -> None:
        super().__init__(space, Euclidean(space.dim))
        self.chart = IsometricLogRatio(space.dim)

    def to(self, x: Tensor) -> Tensor:
        return self.chart.inv(x)

    def back(self, y: Tensor) -> Tensor:
        return self.chart(y)

    def tangent(self, vector: Tensor, x: Tensor) -> Tensor:
        return x * (vector - dot(x, vector))

    def squared_error(self, vector: Tensor, target: Tensor, x: Tensor) -> Tensor:
        """Of zero coordinates, where both vectors vanish, nothing is counted."""
        if self.space.metric_name != "fisher_rao":
            return super().squared_error(vector, target, x)
        weight = torch.where(x > 0, x, math.inf).reciprocal()
        return ((self.tangent(vector, x) - target).square() * weight).sum(-1)

    def inner_velocity(self, vector: Tensor, x: Tensor) -> Tensor:
        return self.chart.from_log(vector)

    def log_volume(self, y: Tensor) -> Tensor:
        return self.chart.log_volume(y)


class Joined(Coordinates):
    """Those of a product's factors."""

    def __init__(self, space: Product, parts: Sequence[Coordinates]) -> None:
        super().__init__(space, Product([part.inner for part in parts], space.weights))
        self.parts = parts

    def to(self, x: Tensor) -> Tensor:
        return self.inner.join([p.to(a) for p, a in zip(self.parts, self.space.split(x))])

    def back(self, y: Tensor) -> Tensor:
        return self.space.join([p.back(a) for p, a in zip(self.parts, self.inner.split(y))])

    def tangent(self, vector: Tensor, x: Tensor) -> Tensor:
        return self.space.join([p.tangent(a, b) for p, a, b in self._blocks(vector, x)])

    def squared_error(self, vector: Tensor, target: Tensor, x: Tensor) -> Tensor:
        """By factors: to join vectors and split them again would take longer than the rest."""
        split = self.space.split
        blocks = zip(self.space.weights, self.parts, split(vector), split(target), split(x))
        errors = [(w, part.squared_error(a, b, c)) for w, part, a, b, c in blocks]
        return reduce(torch.add, (error if w == 1 else w * error for w, error in errors))

    def inner_velocity(self, vector: Tensor, x: Tensor) -> Tensor:
        return self.inner.join([p.inner_velocity(a, b) for p, a, b in self._blocks(vector, x)])

    def log_volume(self, y: Tensor) -> Tensor:
        volumes = [p.log_volume(a) for p, a in zip(self.parts, self.inner.split(y))]
        return torch.stack(torch.broadcast_tensors(*volumes)).sum(0)

    def _blocks(self, vector: Tensor, x: Tensor) -> zip:
        return zip(self.parts, self.space.split(vector), self.space.split(x))


@singledispatch
def coordinates_of(space: Manifold) -> Coordinates:
    """The coordinates in which fields on a space are integrated."""
    return Coordinates(space)


@coordinates_of.register(Euclidean)
@coordinates_of.register(Torus)
def _(space: Euclidean | Torus) -> Coordinates:
    return Flat(space)


@coordinates_of.register
def _(space: Hypersphere) -> Coordinates:
    return OnSphere(space)


@coordinates_of.register
def _(space: Simplex) -> Coordinates:
    return LogRatios(space)


@coordinates_of.register
def _(space: Product) -> Coordinates:
    return Joined(space, [coordinates_of(factor) for factor in space.factors])
