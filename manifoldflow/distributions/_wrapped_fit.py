"""Maximum likelihood for wrapped normals, with the Frechet mean where the likelihood has no maximum in the mean.

On spheres of more than one dimension the density is infinite at the mean and its antipode, if only in a point.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..manifolds import Hypersphere, Product, Simplex, Torus, frechet_mean
from .fitting import refuse_coinciding, weighted_mean

__all__ = ["fit_wrapped"]

_MOST_STEPS = 200


def fit_wrapped(
    space: Manifold, x: Tensor, w: Tensor, log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The likeliest mean `(*batch, n)` and scale `(*batch,)` of points `(*batch, m, n)`; all float64."""

    def likelihood(loc: Tensor, scale: Tensor) -> Tensor:
        return (w * log_prob(x, loc[..., None, :], scale[..., None])).sum(-1)

    refuse_coinciding((w * (x - weighted_mean(x, w)[..., None, :]).square().sum(-1)).sum(-1), "points")
    loc = _start(space, x, w)
    square = (w * space.metric.squared_dist(x, loc[..., None, :])).sum(-1)
    scale = (square / space.dim).sqrt()
    best = likelihood(loc, scale)
    for _ in range(_MOST_STEPS):
        new_loc, moved = _ascend(space, x, w, loc, scale, likelihood, best)
        new_scale = _best_scale(new_loc, scale, likelihood)
        new = likelihood(new_loc, new_scale)
        better = new >= best - 1e-14 * best.abs()
        still = (moved <= 1e-14) & ((new_scale - scale).abs() <= 1e-14 * scale)
        loc = torch.where(better[..., None], new_loc, loc)
        scale, best = torch.where(better, new_scale, scale), torch.where(better, new, best)
        if bool((still | ~better).all()):
            break
    return loc, scale


def _start(space: Manifold, x: Tensor, w: Tensor) -> Tensor:
    """The Frechet mean, which is final except on circles; there, the mean direction."""
    if isinstance(space, Product):
        return space.join([_start(f, block, w) for f, block in zip(space.factors, space.split(x))])
    if isinstance(space, Simplex):
        return weighted_mean(x.log(), w).softmax(-1)
    if isinstance(space, Hypersphere) and not _is_circle(space):
        return frechet_mean(space, x, w, max_steps=1000)
    if isinstance(space, Torus):
        return torch.atan2(weighted_mean(x.sin(), w), weighted_mean(x.cos(), w))
    mean = weighted_mean(x, w)
    if _is_circle(space):
        length = torch.linalg.vector_norm(mean, dim=-1, keepdim=True)
        return torch.where(length > 0, mean / length.clamp(min=1e-300), x[..., 0, :])
    return mean


def _is_circle(space: Manifold) -> bool:
    """Whether the space is a circle or a product of circles, a torus."""
    return isinstance(space, Torus) or (isinstance(space, Hypersphere) and space.dim == 1)


def _ascend(
    space: Manifold,
    x: Tensor,
    w: Tensor,
    loc: Tensor,
    scale: Tensor,
    likelihood: Callable[[Tensor, Tensor], Tensor],
    best: Tensor,
) -> tuple[Tensor, Tensor]:
    """One step of scoring for the mean on circles, halved until the likelihood does not fall."""
    if not any(map(_is_circle, getattr(space, "factors", (space,)))):
        return loc, torch.zeros_like(scale)
    free = loc.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(likelihood(free, scale).sum(), free)
    step = scale.square()[..., None] * _circular_part(space, space.to_tangent(gradient, loc))
    better = torch.zeros_like(best, dtype=torch.bool)
    for _ in range(30):
        trial = space.metric.exp(step, loc)
        better = likelihood(trial, scale) >= best - 1e-14 * best.abs()
        if bool(better.all()):
            break
        step = torch.where(better[..., None], step, 0.5 * step)
    moved = torch.linalg.vector_norm(step, dim=-1) / scale
    return torch.where(better[..., None], trial, loc), torch.where(better, moved, 0.0)


def _circular_part(space: Manifold, vector: Tensor) -> Tensor:
    """The vector, zero except on circles; a factor's weight scales its metric, and so the inverse information."""
    if not isinstance(space, Product):
        return vector
    blocks = zip(space.factors, space.weights, space.split(vector))
    return space.join([v / weight if _is_circle(f) else torch.zeros_like(v) for f, weight, v in blocks])


def _best_scale(loc: Tensor, scale: Tensor, likelihood: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Newton's method in log scale; where the likelihood bends upwards, a step along its slope."""
    log_scale = scale.log()
    for _ in range(30):
        free = log_scale.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(likelihood(loc, free.exp()).sum(), free, create_graph=True)
            (bend,) = torch.autograd.grad(slope.sum(), free)
        slope = slope.detach()
        step = torch.where(bend < 0, -slope / bend, slope.sign() * 0.5).clamp(-1, 1)
        log_scale = (log_scale + step).clamp(max=math.log(1e3))  # beyond, the density is flat in the scale
        if bool((step.abs() <= 1e-15).all()):
            break
    return log_scale.exp()
