r"""Typicality: is a point where draws of the base are, neither too probable nor too improbable?

A density index of a Gaussian is about 1 at the origin, where no draw ever falls. The two-sided typicality
2 min(F, 1 - F), with F the distribution function of the log-density of a draw, is 0 there.
"""

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from ..distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher, VonMisesFisherAngle
from ..manifolds import check_points, is_eager
from ..manifolds.sphere_kernels import angle_of
from ..special import log_gammainc, log_gammaincc, log_ndtri

__all__ = ["LogDensityLaw", "angular_speed", "log_density_law", "log_density_z", "typicality"]


_UNIFORM = "base: the uniform distribution has one density everywhere, so every point is as typical as any other"


class LogDensityLaw(NamedTuple):
    """The law of the log-density of a draw.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation.
        log_tails: From points to the logs of the probabilities that a draw is less, and more, probable than they are.
        log_prob: From points to their log-density.
    """

    mean: Tensor
    deviation: Tensor
    log_tails: Callable[[Tensor], tuple[Tensor, Tensor]]
    log_prob: Callable[[Tensor], Tensor]


def _gaussian_law(loc: Tensor, whiten: Callable[[Tensor], Tensor], log_volume: Tensor, event_dim: int) -> LogDensityLaw:
    """|whitened x|^2 has the chi-square law with n degrees of freedom, and the log-density is -1/2 of it."""
    n = loc.shape[loc.ndim - event_dim :].numel()
    constant = -0.5 * n * math.log(2 * math.pi) - log_volume

    def half_square(points: Tensor) -> Tensor:
        return 0.5 * whiten(points - loc).square().flatten(points.ndim - event_dim).sum(-1).double()

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        x = half_square(points)
        return log_gammaincc(n / 2, x), log_gammainc(n / 2, x)

    return LogDensityLaw(
        constant - n / 2,
        torch.tensor(math.sqrt(n / 2), dtype=torch.float64, device=loc.device),
        log_tails,
        lambda points: constant - half_square(points),
    )


@singledispatch
def _law(base: Any, samples: int) -> LogDensityLaw:
    """By sampling: the empirical distribution of the log-density of `samples` draws."""
    with torch.no_grad():
        drawn = base.log_prob(base.sample((samples,))).double()
    ordered = drawn.sort(0).values
    if ordered.ndim > 1:
        raise ValueError(f"base: expected one distribution, got a batch of shape {tuple(ordered.shape[1:])}")
    if bool(ordered[0] == ordered[-1]):
        raise ValueError(_UNIFORM)

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        value = base.log_prob(points).double()
        value = value.detach().contiguous()
        below = (torch.searchsorted(ordered, value) + torch.searchsorted(ordered, value, right=True)) / 2
        # Draws of the same density count half, and so does the point itself, so that no tail is empty.
        share = (below.double() + 0.5) / (samples + 1)
        return share.log(), torch.log1p(-share)

    return LogDensityLaw(drawn.mean(), drawn.std(), log_tails, base.log_prob)


@_law.register
def _(base: Gaussian, samples: int) -> LogDensityLaw:
    return _gaussian_law(base.loc, lambda x: x / base.scale, base.scale.log().sum(-1).double(), 1)


@_law.register
def _(base: MultivariateNormal, samples: int) -> LogDensityLaw:
    lower = base.scale_tril
    log_volume = lower.diagonal(dim1=-2, dim2=-1).log().sum(-1).double()

    def whiten(x: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(lower, x[..., None], upper=False)[..., 0]

    return _gaussian_law(base.loc, whiten, log_volume, 1)


@_law.register
def _(base: Independent, samples: int) -> LogDensityLaw:
    normal = base.base_dist
    if not isinstance(normal, Normal):
        return _law.dispatch(object)(base, samples)
    event_dim = len(base.event_shape)
    log_volume = normal.scale.log().flatten(normal.scale.ndim - event_dim).sum(-1).double()
    return _gaussian_law(normal.loc, lambda x: x / normal.scale, log_volume, event_dim)


@_law.register
def _(base: VonMisesFisher, samples: int) -> LogDensityLaw:
    """The log-density is a constant plus kappa times the cosine to the mean, and falls with the angle."""
    angle = VonMisesFisherAngle(base.concentration, base.event_shape[-1], validate_args=False)
    kappa = base.concentration.double()
    if is_eager() and bool((kappa == 0).any()):
        raise ValueError(_UNIFORM)

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        loc = base.loc.expand(points.shape).double()
        theta = angle_of(points.double() - loc, points.double() + loc)[..., 0]
        return angle.log_survival(theta), angle.log_cdf(theta)

    return LogDensityLaw(
        -base.entropy().double(), kappa * base.cosine_variance.double().sqrt(), log_tails, base.log_prob
    )


@_law.register
def _(base: Dirichlet, samples: int) -> LogDensityLaw:
    """Mean and deviation from the moments of log s; the tails by sampling."""
    a = base.concentration.double()
    if is_eager() and bool((a == 1).all()):
        raise ValueError(_UNIFORM)
    spread = ((a - 1).square() * torch.polygamma(1, a)).sum(-1)
    spread = spread - (a - 1).sum(-1).square() * torch.polygamma(1, a.sum(-1))
    sampled = _law.dispatch(object)(base, samples)
    return sampled._replace(mean=-base.entropy().double(), deviation=spread.clamp_min(0).sqrt())


@_law.register
def _(base: SphericalUniform, samples: int) -> LogDensityLaw:
    raise ValueError(_UNIFORM)


def log_density_law(base: Any, *, samples: int = 10_000) -> LogDensityLaw:
    """The law behind `typicality` and `log_density_z`, to be drawn once and used for many batches of points.

    Raises:
        ValueError: The base is uniform, or a batch of distributions without a known law.
    """
    return _law(base, samples)


def _checked(base: Any, points: Any, samples: int) -> tuple[LogDensityLaw, Tensor]:
    points = torch.as_tensor(points)
    event_shape = tuple(base.event_shape)
    if tuple(points.shape[points.ndim - len(event_shape) :]) != event_shape:  # it would broadcast with the mean
        raise ValueError(
            f"points: expected the base's event shape {event_shape} in the last dimensions, got {tuple(points.shape)}"
        )
    space = getattr(base, "manifold", None)
    if space is not None:
        check_points(space, points=points)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 100:
        raise ValueError(f"samples: expected an integer of at least 100, got {samples!r}")
    return _law(base, samples), points


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
    points, t = torch.as_tensor(points), torch.as_tensor(t)
    axis = points.ndim - event_dim - 1
    if axis < 0 or points.shape[axis] < 2 or t.shape != (points.shape[axis],):
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
