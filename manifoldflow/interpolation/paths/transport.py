"""Paths for bases with independent coordinates: optimal transport back to the base, and Cauchy combinations."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Cauchy, Normal, Uniform

from ...distributions.laws import law_of
from ...distributions.lifts import Coordinates, unvalidated
from ...special.gamma_tables import GammaToNormal
from .great_circle import check_not_opposite, directions
from .path import Path
from .points import check_base_shape, pin, two_point_sum, velocity_of

__all__ = ["CauchyLinear", "OptimalTransport", "SphericalCauchy"]

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(128))
_REACH = 7.5  # standard deviations kept of the variable that is integrated over: a rest of 6e-14


class _Pinned(Path):
    """A path through a map and back, whose end points are put back exactly."""

    def _points(self, t: Tensor) -> Tensor:
        return pin(self._curve(t), t, self.start, self.end, self.event_dim)

    def _curve(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, shape `(*batch, m, *event)`."""
        times = self._times(t)
        return velocity_of(self._curve, times)


class _Coordinatewise(_Pinned):
    """A path for bases with independent coordinates, whose law is `law`."""

    def __init__(self, base: Any, start: Any, end: Any, *, event_dim: int = 1) -> None:
        known = law_of(base)
        base = known.base
        if known.coordinates is None:
            raise ValueError(
                f"base: expected independent coordinates with cdf and icdf, such as Independent(Laplace(...), 1), got "
                f"{known.title}; methods_for(base) lists the methods that suit it"
            )
        super().__init__(start, end, event_dim=max(event_dim, len(getattr(base, "event_shape", ()))))
        check_base_shape("start", self.event_shape, base)
        self.law = unvalidated(known.coordinates)
        self._along = Coordinates(self.law, self.event_dim, count=1).along


class OptimalTransport(_Coordinatewise):
    r"""The straight line, every coordinate of which is then transported back to the base: :math:`F^{-1}(F_t(y))`.

    :math:`F_t` is the distribution function of :math:`(1-t) X + t X'` for independent X and X' with the law F of a
    coordinate; the increasing map is the optimal transport between the two for every convex cost.

    Args:
        base: Distribution with independent coordinates, `cdf` and `icdf`; None for the standard normal.
        start: Points `(*batch, *event)`.
        end: Points, same shape.
        event_dim: Number of dimensions of one point; at least that of the base's event shape.

    Closed form for the normal, uniform and Cauchy laws; otherwise by quadrature with 128 evaluations of `cdf` a
    coordinate, whose error in :math:`F_t` is 1e-13 for normal-like laws, at most 5e-4 where a density jumps, and
    about 1e-3 in tails as heavy as Cauchy's.
    Reference: Agustsson et al., Optimal transport maps for distribution preserving operations on latent spaces of
    generative models, ICLR 2019 (arXiv 1711.01970), section 2.2 and table 1.
    """

    def _curve(self, t: Tensor) -> Tensor:
        line = two_point_sum(1 - t, t, self.start, self.end, self.event_dim)
        times = t.reshape(*t.shape, *[1] * self.event_dim).expand(line.shape)
        return self._along(self._transported, line, times)

    def _transported(self, line: Tensor, times: Tensor) -> Tensor:
        if isinstance(self.law, Cauchy):
            return line
        if isinstance(self.law, Normal):
            root = ((1 - times).square() + times.square()).sqrt()
            return self.law.loc + (line - self.law.loc) / root
        if isinstance(self.law, Uniform):
            low, width = self.law.low, self.law.high - self.law.low
            return low + width * _trapezoid_cdf((line - low) / width, times)
        p = self._mixed_cdf(line.double(), times.double())
        tiny = torch.finfo(torch.float64).eps
        return self.law.icdf(p.clamp(tiny, 1 - tiny)).to(line.dtype)

    def _mixed_cdf(self, y: Tensor, t: Tensor) -> Tensor:
        """F_t(y) as the mean over the variable with the smaller weight, whose quantiles are those of a normal one."""
        small, large = torch.minimum(t, 1 - t), torch.maximum(t, 1 - t)
        nodes, weights = (_NODES * _REACH).to(y.device), _WEIGHTS.to(y.device)
        weights = weights * torch.exp(-0.5 * nodes.square())
        weights = weights / weights.sum()
        support = self.law.support
        low, high = getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)
        total = torch.zeros_like(y)
        for probability, weight in zip(torch.special.ndtr(nodes), weights):
            quantile = self.law.icdf(probability.expand(y.shape[y.ndim - self.event_dim :]))
            total = total + weight * self.law.cdf(((y - small * quantile) / large).clamp(low, high))
        return total


def _trapezoid_cdf(y: Tensor, t: Tensor) -> Tensor:
    """Distribution function of (1-t) U + t U' for uniform U, U' on [0, 1]: quadratic, linear, quadratic."""
    a, b = torch.minimum(t, 1 - t), torch.maximum(t, 1 - t)
    area = 2 * a * b
    safe = torch.where(area > 0, area, 1)  # at t = 0 and 1 only the linear part is left
    rise = y.clamp(min=0).minimum(a).square() / safe
    fall = 1 - (1 - y).clamp(min=0).minimum(a).square() / safe
    return torch.where(y < a, rise, torch.where(y > b, fall, (y - a / 2) / b))


class CauchyLinear(_Coordinatewise):
    r"""Every coordinate as a Cauchy variable, combined linearly: :math:`g^{-1}((1-t) g(x_0) + t g(x_1))`.

    g carries the law of a coordinate to the Cauchy law, whose convex combinations are Cauchy again: between independent
    draws every point has the law of the base, as for `Matched`, but large coordinates of one end dominate the path.

    Args:
        base: Distribution with independent coordinates, `cdf` and `icdf`; None for the standard normal.
        start: Points `(*batch, *event)`.
        end: Points, same shape.
        event_dim: Number of dimensions of one point; at least that of the base's event shape.

    Reference: Lesniak, Sieradzki, Podolak, Distribution-interpolation trade off in generative models, ICLR 2019,
    section 4.
    """

    def __init__(self, base: Any, start: Any, end: Any, *, event_dim: int = 1) -> None:
        super().__init__(base, start, end, event_dim=event_dim)
        self._ends = self._to_cauchy(self.start), self._to_cauchy(self.end)

    def _to_cauchy(self, points: Tensor) -> Tensor:
        tiny = torch.finfo(torch.float64).eps
        return _cauchy_quantile(self.law.cdf(points.double()).clamp(tiny, 1 - tiny))

    def _curve(self, t: Tensor) -> Tensor:
        mixed = two_point_sum(1 - t.double(), t.double(), *self._ends, self.event_dim)
        tiny = torch.finfo(torch.float64).eps
        return self._along(self.law.icdf, _cauchy_cdf(mixed).clamp(tiny, 1 - tiny)).to(self.start.dtype)


class SphericalCauchy(_Pinned):
    r"""The normalised straight line between the directions, and a Cauchy combination of the norms, for the standard
    normal.

    Args:
        start: Points `(*batch, *event)`.
        end: Points, same shape.
        event_dim: Number of dimensions n of one point; the norm, over all of them, has the chi law with n degrees of
            freedom.

    Raises:
        CutLocusError: Opposite directions.

    Reference: as `CauchyLinear`, section 4 (spherical Cauchy-linear).
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1) -> None:
        super().__init__(start, end, event_dim=event_dim)
        axis = len(self.batch_shape)
        self._pair = directions(self.start.flatten(axis), self.end.flatten(axis))
        check_not_opposite(self._pair, "spherical-cauchy", "move a point, or use slerp")
        # |x|^2 / 2 of a standard normal x has the law Gamma(n / 2).
        half = torch.tensor([self.event_shape.numel() / 2], dtype=torch.float64, device=self.start.device)
        self._table = GammaToNormal(half)
        self._ends = self._to_cauchy(self._pair.first_norm), self._to_cauchy(self._pair.last_norm)

    def _to_cauchy(self, norm: Tensor) -> Tensor:
        log_x = (norm.double().square() / 2).clamp_min(torch.finfo(torch.float64).tiny).log()
        z = self._table.normal(log_x[..., None])[..., 0]
        # The Cauchy quantile is cot(pi p) of the smaller tail p, which keeps its digits as a logarithm: ndtr(-9) is 0.
        return z.sign() / torch.tan(math.pi * torch.special.log_ndtr(-z.abs()).exp())

    def _norm(self, g: Tensor) -> Tensor:
        tail = torch.atan2(torch.ones_like(g), g.abs()) / math.pi
        z = -g.sign() * torch.special.ndtri(tail)
        return (2 * self._table.log_gamma(z[..., None])[..., 0].exp()).sqrt()

    def _curve(self, t: Tensor) -> Tensor:
        pair = self._pair
        chord = two_point_sum(1 - t, t, pair.first, pair.last, 1)
        along = chord / torch.linalg.vector_norm(chord, dim=-1, keepdim=True)
        g = (1 - t.double()) * self._ends[0][..., None] + t.double() * self._ends[1][..., None]
        points = self._norm(g).to(along.dtype)[..., None] * along
        return points.unflatten(-1, self.event_shape)


def _cauchy_quantile(p: Tensor) -> Tensor:
    return torch.tan(math.pi * (p - 0.5))


def _cauchy_cdf(x: Tensor) -> Tensor:
    return 0.5 + torch.atan(x) / math.pi
