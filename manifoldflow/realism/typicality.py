r"""Typicality: is a point where draws of the base are, neither too probable nor too improbable?

A density index of a Gaussian is about 1 at the origin, where no draw ever falls. The two-sided typicality
2 min(F, 1 - F), with F the distribution function of the log-density of a draw, is 0 there.
"""

from typing import Any

import torch
from torch import Tensor

from ..checks import as_tensor, check_integer, describe
from ..distributions import LogDensityLaw, law_of
from ..manifolds import check_points
from ..manifolds.sphere_kernels import angle_of
from ..special import log_ndtri

__all__ = ["angular_speed", "log_density_law", "log_density_z", "typicality"]


def log_density_law(base: Any, *, samples: int = 10_000) -> LogDensityLaw:
    """The law behind `typicality` and `log_density_z`, to be drawn once and used for many batches of points.

    Raises:
        ValueError: The base is uniform, or a batch of distributions without a known law.
    """
    return law_of(base).log_density(samples)


def _checked(base: Any, points: Any, samples: int) -> tuple[LogDensityLaw, Tensor]:
    points, known = as_tensor("points", points), law_of(base)
    base = known.base
    event_shape = tuple(base.event_shape)
    if tuple(points.shape[points.ndim - len(event_shape) :]) != event_shape:  # it would broadcast with the mean
        raise ValueError(
            f"points: expected the base's event shape {event_shape} in the last dimensions, got {tuple(points.shape)}"
        )
    space = getattr(base, "manifold", None)
    if space is not None:
        check_points(space, points=points)
    return log_density_law(known, samples=check_integer("samples", samples, 100)), points


def typicality(base: Any, points: Any, *, samples: int = 10_000) -> Tensor:
    """Two-sided typicality 2 min(F, 1 - F) of points under a base, in [0, 1].

    F is the distribution function of the log-density of a draw, at the log-density of the point; of a draw, the
    typicality is uniform on [0, 1].

    Args:
        base: Gaussian, `Independent(Normal)`, `MultivariateNormal` (exact, chi-square), von Mises-Fisher (exact, by the
            law of the angle to the mean), or any other distribution with `sample` and `log_prob`.
        points: `(*batch, *event)`.
        samples: Number of draws where the law is not known; the resolution of the result is 1 / samples. They come from
            torch's global generator.

    Returns:
        `(*batch,)`, dtype of the points. Differentiable where the law is known.

    Raises:
        ValueError: The base is uniform, or a batch of distributions without a known law; points of another event shape.
        OffManifoldError: Points off the base's manifold.
    """
    law, points = _checked(base, points, samples)
    less, more = law.log_tails(points)
    return (2 * torch.minimum(less, more).exp()).clamp_max(1).to(points.dtype)


def log_density_z(base: Any, points: Any, *, normal_score: bool = False, samples: int = 10_000) -> Tensor:
    """How many standard deviations the base log-density of points, such as those of a path, is off its mean.

    Args:
        base: As in `typicality`; the moments are exact for the Gaussian, von Mises-Fisher and Dirichlet.
        points: `(*batch, *event)`.
        normal_score: Return the standard normal quantile of F instead, which has the law N(0, 1) for draws in any
            dimension.
        samples: As in `typicality`.

    Returns:
        `(*batch,)`, positive where points are more probable than draws are.
    """
    law, points = _checked(base, points, samples)
    if not normal_score:
        return ((law.log_prob(points).double() - law.mean) / law.deviation).to(points.dtype)
    less, more = law.log_tails(points)
    lower = less < more
    low, high = torch.where(lower, less, -1.0), torch.where(lower, -1.0, more)
    return torch.where(lower, log_ndtri(low), -log_ndtri(high)).to(points.dtype)


def angular_speed(points: Any, t: Any, *, event_dim: int = 1) -> Tensor:
    """Angle between neighbouring points of a path, seen from the origin, per time.

    Args:
        points: `(*batch, m, *event)`.
        t: Strictly increasing times `(m,)`.
        event_dim: Number of dimensions of one point.

    Returns:
        `(*batch, m - 1)`, in radians per unit of time; constant for slerp, peaked in the middle for a straight line.

    Raises:
        ValueError: Fewer than two points, or times that do not increase or do not fit them.
    """
    points, t = as_tensor("points", points), as_tensor("t", t)
    event_dim = check_integer("event_dim", event_dim)
    axis = points.ndim - event_dim - 1
    if axis < 0 or points.numel() == 0:
        raise ValueError(f"points: expected at least two points (*batch, m, *event), got {describe(points)}")
    if points.shape[axis] < 2 or t.shape != (points.shape[axis],):
        raise ValueError(
            f"t: expected one time for each of at least two points along dimension {axis}, got times of shape "
            f"{tuple(t.shape)} for points of shape {tuple(points.shape)}"
        )
    step = t.diff()
    if not bool((step > 0).all()):
        raise ValueError("t: expected strictly increasing times, got others; sort them first")
    flat = points.flatten(axis + 1)
    norm = torch.linalg.vector_norm(flat, dim=-1, keepdim=True)
    unit = flat / torch.where(norm > 0, norm, 1)
    return angle_of(unit.diff(dim=-2), unit[..., 1:, :] + unit[..., :-1, :])[..., 0] / step
