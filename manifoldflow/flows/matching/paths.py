"""Geodesics from draws of the base to data, with their velocities: what a field is trained to follow."""

from collections.abc import Callable
from functools import reduce, singledispatch

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, broadcasting, sphere_kernels
from ...manifolds.rows import cos_sinc, dot, safe_sqrt
from ...manifolds.torus import wrap

__all__ = ["ConditionalPath", "cut_locus", "geodesic_path"]

ConditionalPath = Callable[[Manifold, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a space, times `(m,)`, draws of the base and data `(m, *event)` to points and velocities there."""


def geodesic_path(space: Manifold, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Points `(m, *event)` of the geodesics from `start` to `end` at times `(m,)`, and their velocities there."""
    return joining(space, t.reshape(-1, *(1 for _ in space.shape)), start, end)


@singledispatch
def joining(space: Manifold, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with times that broadcast with the points; a space with closed forms of its own registers them."""
    return default_geodesic(space, t, start, end)


def default_geodesic(space: Manifold, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """By the metric's exp and log alone.

    The velocity is log_x(end) / (1 - t) in the first half and -log_x(start) / t in the second, so that no small vector
    is divided by a small number.
    """
    metric = broadcasting(space.metric)
    x = metric.exp((1 - t) * metric.log(start, end, cut_locus="choose"), end)
    early = t < 0.5
    toward = metric.log(torch.where(early, end, start), x, cut_locus="choose")
    return x, toward / torch.where(early, 1 - t, -t)


@joining.register
def _(space: Euclidean, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    velocity = end - start
    return start + t * velocity, velocity


@joining.register
def _(space: Torus, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    velocity = wrap(end - start)
    return wrap(start + t * velocity), velocity


@joining.register
def _(space: Hypersphere, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    return _great_circle(1 - t, end, sphere_kernels.log(end, start)[0])


@joining.register
def _(space: Simplex, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """For the Fisher-Rao metric, the great circle of the square roots, also to and from the boundary."""
    if space.metric_name != "fisher_rao":
        return default_geodesic(space, t, start, end)
    first, last = safe_sqrt(start), safe_sqrt(end)
    root, velocity = _great_circle(1 - t, last, sphere_kernels.log(last, first)[0])
    return root.square(), 2 * root * velocity


@joining.register
def _(space: Product, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    parts = []
    for factor, first, last in zip(space.factors, space.split(start), space.split(end)):
        parts.append(joining(factor, t.reshape(-1, *(1 for _ in factor.shape)), first, last))
    points, velocities = zip(*parts)
    return space.join(points), space.join(velocities)


def _great_circle(back: Tensor, end: Tensor, log: Tensor) -> tuple[Tensor, Tensor]:
    """exp(back * log) at `end` for the sphere's `log` there, and its derivative as `back` falls at speed 1."""
    square = dot(log, log)
    cos, sinc = cos_sinc(back.square() * square)
    along = back * sinc
    return cos * end + along * log, along * square * end - cos * log


@singledispatch
def cut_locus(space: Manifold, start: Tensor, end: Tensor) -> Tensor | None:
    """Which pairs no unique geodesic joins: booleans `(m,)`, or None where there are none or none are known."""
    metric = broadcasting(space.metric)
    return metric.log_and_cut(start, end)[1] if hasattr(metric, "log_and_cut") else None


@cut_locus.register
def _(space: Euclidean, start: Tensor, end: Tensor) -> None:
    return


@cut_locus.register
def _(space: Simplex, start: Tensor, end: Tensor) -> None:
    """None, by the paths above; the Aitchison metric refuses boundaries itself."""
    return


@cut_locus.register
def _(space: Hypersphere, start: Tensor, end: Tensor) -> Tensor:
    return sphere_kernels.antipodal(start, end)


@cut_locus.register
def _(space: Product, start: Tensor, end: Tensor) -> Tensor | None:
    blocks = zip(space.factors, space.split(start), space.split(end))
    cuts = [cut for cut in (cut_locus(*block) for block in blocks) if cut is not None]
    return reduce(torch.logical_or, cuts) if cuts else None
