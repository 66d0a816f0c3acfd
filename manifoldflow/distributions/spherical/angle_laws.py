"""The laws of the angle to the mean direction that power spherical and wrapped normal distributions have."""

import math
from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor

from ...special import log_gammainc, log_gammaincc, log_ndtri
from .angle import solve_angle, tail_masses

__all__ = ["AngleLaw", "PowerSphericalAngle", "WrappedNormalAngle"]

_EDGE = 1e-290
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class AngleLaw(ABC):
    """A law of angles in [0, pi], Gaussianised; float64 inside, accurate in both tails.

    Args:
        parameter: Of the law; broadcasts with angles.
        n: The ambient dimension of the sphere.
    """

    def __init__(self, parameter: Tensor, n: int) -> None:
        self.parameter, self.n = parameter.double(), n

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch={tuple(self.parameter.shape)}, n={self.n})"

    @abstractmethod
    def log_density(self, theta: Tensor) -> Tensor:
        """Log density with respect to d theta."""

    @abstractmethod
    def log_tail(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Log probability of the side of theta away from the bulk, and whether that side is [theta, pi]."""

    @abstractmethod
    def typical(self) -> Tensor:
        """An angle in the bulk of the law."""

    def to_normal(self, theta: Tensor) -> Tensor:
        """The standard normal quantile of the probability of [0, theta]."""
        log_tail, upwards = self.log_tail(theta.double().clamp(_EDGE, math.pi - 1e-15))
        z = log_ndtri(log_tail.clamp(max=0))
        return torch.where(upwards, -z, z)

    def from_normal(self, z: Tensor) -> Tensor:
        """The inverse of `to_normal`."""
        z = z.double()
        shape = torch.broadcast_shapes(z.shape, self.parameter.shape)
        theta = solve_angle(z.expand(shape), self.typical().expand(shape), self.to_normal, self.log_density)
        # Two steps of Newton's method on the solution, recorded, have its derivatives up to the third.
        for _ in range(2 if torch.is_grad_enabled() else 0):
            theta = theta.clamp(_EDGE, math.pi - 1e-15)
            now = self.to_normal(theta)
            slope = torch.exp(self.log_density(theta) + 0.5 * now.square() + _HALF_LOG_TWO_PI)
            theta = theta - (now - z) / slope
        return theta


def _log_area(n: int) -> float:
    """Log of the area of the unit sphere in R^n."""
    return math.log(2) + 0.5 * n * math.log(math.pi) - math.lgamma(0.5 * n)


class PowerSphericalAngle(AngleLaw):
    r""":math:`f(\theta) \propto \cos^{2\kappa}(\theta/2) \sin^{n-2}\theta`; `parameter` is the concentration.

    :math:`\cos^2(\theta/2)` has the law Beta((n-1)/2 + kappa, (n-1)/2) (arXiv 2006.04437); tails by quadrature.
    """

    @cached_property
    def _log_constant(self) -> Tensor:
        half = 0.5 * (self.n - 1)
        a, b = self.parameter + half, torch.tensor(half, dtype=torch.float64, device=self.parameter.device)
        log_mode = (a + b).lgamma() - a.lgamma() - (2 * math.log(2) + math.log(math.pi)) * half
        return log_mode + _log_area(self.n - 1)

    def log_density(self, theta: Tensor) -> Tensor:
        bend = self._log_constant + 2 * self.parameter * (0.5 * theta).cos().clamp_min(_EDGE).log()
        return bend if self.n == 2 else bend + (self.n - 2) * theta.sin().clamp_min(_EDGE).log()

    def _log_ratio(self, delta: Tensor, theta: Tensor) -> Tensor:
        half = torch.sin(0.5 * delta)
        fall = -2 * torch.sin(0.25 * delta).square() - torch.tan(0.5 * theta) * half
        ratio = 2 * self.parameter[..., None] * torch.log1p(fall.clamp(min=-1 + 1e-16))
        if self.n == 2:
            return ratio
        rise = 2 * torch.cos(theta + 0.5 * delta) * half / torch.sin(theta)
        return ratio + (self.n - 2) * torch.log1p(rise.clamp(min=-1 + 1e-16))

    def _haversine(self) -> Tensor:
        """The mean of sin^2(theta/2)."""
        return 0.5 * (self.n - 1) / (self.parameter + (self.n - 1))

    def log_tail(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        theta = theta.expand(torch.broadcast_shapes(theta.shape, self.parameter.shape))
        upwards = torch.sin(0.5 * theta).square() > self._haversine()
        reach, _, mass = tail_masses(theta[..., None], upwards[..., None], self._log_ratio)
        return self.log_density(theta) + (reach * mass).sum(-1).clamp_min(_EDGE).log(), upwards

    def typical(self) -> Tensor:
        return 2 * self._haversine().sqrt().asin()


class WrappedNormalAngle(AngleLaw):
    r"""The angle that is left of a distance :math:`r = \sigma \chi_{n-1}` walked along a great circle.

    .. math:: P(\Theta > \theta) = \sum_{k \ge 0} P(2\pi k + \theta < r < 2\pi (k+1) - \theta),

    `parameter` is :math:`\sigma`. Sums of incomplete gamma functions, as many as the largest scale needs.
    """

    @cached_property
    def _turns(self) -> int:
        reach = float(self.parameter.detach().max()) * (math.sqrt(self.n - 2) + 9) if self.parameter.numel() else 0.0
        return math.ceil(reach / (2 * math.pi))

    def log_density(self, theta: Tensor) -> Tensor:
        d, log_scale = self.n - 1, self.parameter.log()
        constant = (1 - 0.5 * d) * math.log(2) - math.lgamma(0.5 * d) - d * log_scale
        terms = []
        for k in range(self._turns + 1):
            for r in (2 * math.pi * k + theta, 2 * math.pi * (k + 1) - theta):
                power = (d - 1) * r.log() if d > 1 else 0.0
                terms.append(constant + power - 0.5 * (r / self.parameter).square())
        return torch.stack(torch.broadcast_tensors(*terms)).logsumexp(0)

    def _log_beyond(self, r: Tensor) -> Tensor:
        """log P(distance > r)."""
        a, x = 0.5 * (self.n - 1), 0.5 * (r / self.parameter).square()
        some = self._log_leading(x) > -600
        return torch.where(some, log_gammaincc(a, torch.where(some, x, 1.0)), 0.0)

    def _log_leading(self, x: Tensor) -> Tensor:
        """log of x^a / Gamma(a + 1), above which P(a, x) never is; where it underflows, P has no derivative."""
        a = 0.5 * (self.n - 1)
        return a * x.log() - math.lgamma(a + 1)

    def log_tail(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        # What comes back on the way round the sphere is nearer than theta, and not beyond it.
        first, back = self._log_beyond(theta), torch.zeros_like(theta)
        for k in range(1, self._turns + 1):
            turn = 2 * math.pi * k
            back = back + self._log_beyond(turn - theta).exp() - self._log_beyond(turn + theta).exp()
        lost = torch.where(back > 0, back, 0.0) * torch.exp(-first)
        above = first + torch.log1p(-lost.clamp(max=1 - 1e-16))
        returned = torch.where(back > 0, back, _EDGE).log()
        # Where what has not turned is nothing beside that, it has no gradient either.
        a, x = 0.5 * (self.n - 1), 0.5 * (theta / self.parameter).square()
        some = self._log_leading(x) > (returned - 50).clamp(min=-600)
        straight = torch.where(some, log_gammainc(a, torch.where(some, x, 1.0)), -1e4)
        below = torch.logaddexp(straight, returned)
        upwards = above < below
        return torch.where(upwards, above, below), upwards

    def typical(self) -> Tensor:
        # The distance has nearly the mean sigma sqrt(d - 1/2); widely wrapped angles are all over the sphere.
        return (self.parameter * math.sqrt(self.n - 1.5)).clamp(max=1.5)
