"""Where the nodes of an optimised path may move: flat space, or a space through its own projections.

The simplex is optimised in coordinates in which its metric is simple: square roots for Fisher-Rao (a sphere of radius
2, where its boundary is no singularity and steps cannot leave it), centred log-ratios for Aitchison.
"""

from typing import Any

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...manifolds import Euclidean, Hypersphere, Simplex, broadcasting
from ...manifolds.adapter import default_dtype

__all__ = ["Domain", "domain_of"]


class Domain:
    """Flat space R^n; also the interface of the others. Points are `(..., n)`."""

    def enter(self, points: Tensor) -> Tensor:
        """Points of the space in the coordinates of the solver."""
        return points

    def leave(self, points: Tensor) -> Tensor:
        """Back to points of the space."""
        return points

    def tangent(self, vectors: Tensor, points: Tensor) -> Tensor:
        """The tangential part of ambient vectors at points."""
        return vectors

    def retract(self, points: Tensor, vectors: Tensor) -> Tensor:
        """Points moved along tangent vectors, to first order."""
        return points + vectors

    def between(self, first: Tensor, last: Tensor, share: float | Tensor) -> Tensor:
        """Points between neighbouring nodes, at a share of the way."""
        return first + share * (last - first)

    def squared(self, first: Tensor, last: Tensor) -> Tensor:
        """Squared distances `(...)` of the space between neighbouring nodes."""
        return (last - first).square().sum(-1)


class _Sphere(Domain):
    def tangent(self, vectors: Tensor, points: Tensor) -> Tensor:
        return vectors - (vectors * points).sum(-1, keepdim=True) * points

    def retract(self, points: Tensor, vectors: Tensor) -> Tensor:
        return torch.nn.functional.normalize(points + vectors, dim=-1)

    def between(self, first: Tensor, last: Tensor, share: float | Tensor) -> Tensor:
        return torch.nn.functional.normalize(super().between(first, last, share), dim=-1)


class _FisherRao(_Sphere):
    def enter(self, points: Tensor) -> Tensor:
        return points.clamp(min=0).sqrt()

    def leave(self, points: Tensor) -> Tensor:
        return points.square()

    def squared(self, first: Tensor, last: Tensor) -> Tensor:
        return 4 * super().squared(first, last)


class _Space(Domain):
    """Any geomstats space that is embedded in its coordinates."""

    def __init__(self, space: Manifold) -> None:
        self.space: Any = space
        self.metric: Any = broadcasting(space.metric)

    def tangent(self, vectors: Tensor, points: Tensor) -> Tensor:
        with default_dtype(points.dtype):
            return self.space.to_tangent(vectors, points)

    def retract(self, points: Tensor, vectors: Tensor) -> Tensor:
        with default_dtype(points.dtype):
            return self.space.projection(points + vectors)

    def between(self, first: Tensor, last: Tensor, share: float | Tensor) -> Tensor:
        return self.retract(first, share * (last - first))

    def squared(self, first: Tensor, last: Tensor) -> Tensor:
        return self.metric.squared_dist(first, last)


class _Aitchison(Domain):
    """The open simplex through its centred log-ratios, in which the Aitchison metric is flat."""

    def enter(self, points: Tensor) -> Tensor:
        logs = points.log()
        return logs - logs.mean(-1, keepdim=True)

    def leave(self, points: Tensor) -> Tensor:
        return points.softmax(-1)


def domain_of(space: Manifold | None) -> Domain:
    """The domain that a space is optimised on; None is flat space."""
    if space is None or isinstance(space, Euclidean):
        return Domain()
    if isinstance(space, Hypersphere):
        return _Sphere()
    if isinstance(space, Simplex):
        own = {"fisher_rao": _FisherRao, "aitchison": _Aitchison}
        if space.metric_name in own:
            return own[space.metric_name]()
    return _Space(space)
