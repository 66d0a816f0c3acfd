"""Stationary kernels of unit variance, each with its variogram 1 - k, which stays accurate for small lags."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ...special.series import horner
from ..paths.points import in_one_line

__all__ = ["ExponentialPower", "Kernel", "Matern", "OrnsteinUhlenbeck", "Periodic", "SquaredExponential"]


def _is_real(value: Any) -> bool:
    """Whether a value is a number as Python's and numpy's are, and no boolean."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _positive(name: str, value: float) -> float:
    if not _is_real(value) or not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a positive finite number, got {value!r}")
    return float(value)


class Kernel(ABC):
    """A positive-definite function of the time lag with k(0) = 1.

    A subclass gives the `variogram` 1 - k(h), and so decides how it is computed without cancellation.
    """

    def __repr__(self) -> str:
        numbers = {name: value for name, value in vars(self).items() if _is_real(value)}
        return in_one_line(self, **numbers)

    @abstractmethod
    def variogram(self, lag: Tensor) -> Tensor:
        """1 - k(|h|) for lags h of any shape, accurate for small lags."""

    def __call__(self, lag: Tensor) -> Tensor:
        """k(|h|) for lags h of any shape."""
        return 1 - self.variogram(lag)

    def check_horizon(self, horizon: float) -> None:
        """Raise if the process is perfectly correlated between times 0 and `horizon`: then there is no bridge."""
        if float(self.variogram(torch.tensor(horizon, dtype=torch.float64))) <= 0:
            raise ValueError(
                f"horizon: k(T) is 1 to the last bit at T = {horizon:g}, so the process cannot be tied to two "
                "different points; choose a longer horizon"
            )


class ExponentialPower(Kernel):
    r"""k(h) = :math:`\exp(-\beta |h|^\alpha)`, positive definite exactly for :math:`0 < \alpha \le 2`.

    Args:
        alpha: Exponent in (0, 2]: 1 is the Ornstein-Uhlenbeck process, 2 a smooth one.
        rate: :math:`\beta > 0`, in 1 / time^alpha.

    Raises:
        ValueError: `alpha` outside (0, 2] (Schoenberg's theorem), or a rate that is not positive.
    """

    def __init__(self, alpha: float = 1.0, rate: float = 1.0) -> None:
        self.alpha, self.rate = _positive("alpha", alpha), _positive("rate", rate)
        if alpha > 2:
            raise ValueError(
                f"alpha: expected 0 < alpha <= 2, got {alpha:g}; exp(-|h|^alpha) is not positive definite above 2, "
                "so no Gaussian process has it as covariance"
            )

    def variogram(self, lag: Tensor) -> Tensor:
        return -torch.expm1(-self.rate * lag.abs().pow(self.alpha))


class OrnsteinUhlenbeck(ExponentialPower):
    """k(h) = exp(-rate |h|): the stationary Langevin diffusion of a standard normal has rate 1; Markov.

    Args:
        rate: Rate of forgetting, 1 / time.
    """

    def __init__(self, rate: float = 1.0) -> None:
        super().__init__(alpha=1.0, rate=rate)


class SquaredExponential(ExponentialPower):
    r"""k(h) = :math:`\exp(-h^2 / (2 \ell^2))`.

    Args:
        length_scale: :math:`\ell`, in units of time.
    """

    def __init__(self, length_scale: float = 1.0) -> None:
        self.length_scale = _positive("length_scale", length_scale)
        super().__init__(alpha=2.0, rate=0.5 / self.length_scale**2)


class Periodic(Kernel):
    r"""k(h) = :math:`\exp(-(2/\ell^2) \sin^2(\pi |h| / p))`.

    Args:
        period: p, in units of time.
        length_scale: :math:`\ell`, without unit.

    With |h|^2 in place of |h|, as it is sometimes printed, it is not positive definite.
    """

    def __init__(self, period: float, length_scale: float = 1.0) -> None:
        self.period, self.length_scale = _positive("period", period), _positive("length_scale", length_scale)

    def variogram(self, lag: Tensor) -> Tensor:
        phase = lag.abs() / self.period
        # The remainder first: sin(pi x) of a large x has lost its digits.
        return -torch.expm1(-2 / self.length_scale**2 * torch.sin(math.pi * (phase - phase.round())).square())

    def check_horizon(self, horizon: float) -> None:
        turns = horizon / self.period
        if round(turns) >= 1 and abs(turns - round(turns)) < 1e-6 * turns:
            raise ValueError(
                f"horizon: expected no multiple of the period, got T = {horizon:g} with period {self.period:g}; the "
                "process returns to its start after every period, so its two ends cannot differ"
            )
        super().check_horizon(horizon)


class Matern(Kernel):
    r"""Matern kernel of half-integer smoothness :math:`\nu = p + 1/2`.

    .. math:: k(h) = e^{-x} \frac{p!}{(2p)!} \sum_{i=0}^p \frac{(p+i)!}{i!(p-i)!} (2x)^{p-i},
        \qquad x = \sqrt{2\nu}\, |h| / \ell

    Args:
        smoothness: :math:`\nu` in 0.5, 1.5, 2.5, ...; samples have p derivatives.
        length_scale: :math:`\ell`, in units of time.

    Reference: Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 4.16.
    """

    def __init__(self, smoothness: float = 1.5, length_scale: float = 1.0) -> None:
        self.smoothness = _positive("smoothness", smoothness)
        self.length_scale = _positive("length_scale", length_scale)
        if smoothness % 1 != 0.5 or smoothness > 20:
            raise ValueError(
                f"smoothness: expected a half-integer up to 19.5 (0.5, 1.5, 2.5, ...), got {smoothness:g}; "
                "for a smoother process use SquaredExponential"
            )
        p = int(smoothness - 0.5)
        f = math.factorial
        # Coefficient of x^j, j = p - i; exact, since the terms of the Taylor series below cancel.
        polynomial = [Fraction(f(p) * f(2 * p - j) * 2**j, f(2 * p) * f(p - j) * f(j)) for j in range(p + 1)]
        # e^-x P(x) up to order 20; its odd coefficients vanish below order 2p + 1, which is the smoothness.
        taylor = [
            sum((-1) ** (order - j) * polynomial[j] / f(order - j) for j in range(min(order, p) + 1))
            for order in range(21)
        ]
        self._polynomial = [float(c) for c in polynomial]
        self._taylor = [0.0, *(float(c) for c in taylor[1:])]

    def variogram(self, lag: Tensor) -> Tensor:
        # Beyond x = 1e4 the kernel is zero, and the clamp keeps 0 * inf away.
        x = (math.sqrt(2 * self.smoothness) / self.length_scale * lag.abs()).clamp_max(1e4)
        small = x < 0.5
        near = torch.where(small, x, 0)
        return torch.where(small, -horner(self._taylor, near), 1 - horner(self._polynomial, x) * torch.exp(-x))
