"""The formulas of `bessel`: float64 values, made of differentiable operations, for one n at a time."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._debye import SMALLEST_RADIUS, series
from .series import horner, sides

__all__ = ["complement", "derivative", "divergence", "log_partition", "log_peak", "mean_length", "transverse_variance"]

# Values where R >= 32 ------------------------------------------------------------------------------


class _Point:
    """What every formula shares: R, h = 1/R, x = radius/R, t = order/R, w = R/order - 1 and 1 - t."""

    def __init__(self, kappa: Tensor, twice_order: int) -> None:
        self.kappa = kappa
        self.order = twice_order / 2
        self.series = series(twice_order)
        self.square = kappa * kappa
        self.radius = (self.square + self.order**2).sqrt()
        self.inverse = self.radius.reciprocal()
        self.x = self.series.radius * self.inverse

    def excess(self) -> Tensor:
        """w, free of cancellation."""
        return self.square / (self.order * (self.order + self.radius))

    def fall(self, w: Tensor) -> Tensor:
        """S(t = 1) - S, at order > 0; where kappa can be small, with the factor that vanishes there."""
        if self.order < SMALLEST_RADIUS:
            return -self.series.stirling - horner(self.series.value, self.x)
        return w * self.order * self.inverse * horner(self.series.complement, self.x)

    def scale(self) -> Tensor:
        """What multiplies kappa in A: 1/(order + R) - h^2 (1/2 + T)."""
        correction = self.inverse * self.inverse * (0.5 + horner(self.series.slope, self.x))
        return (self.order + self.radius).reciprocal() - correction


def _large_log_partition(kappa: Tensor, twice_order: int) -> Tensor:
    if twice_order == 0:
        return kappa - _large_log_peak(kappa, 0)
    p = _Point(kappa, twice_order)
    w = p.excess()
    return p.order * (w - torch.log1p(0.5 * w)) - 0.5 * torch.log1p(w) - p.fall(w)


def _large_log_peak(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    if twice_order == 0:
        return 0.5 * torch.log(2 * math.pi * kappa) - horner(p.series.value, p.x)
    w = p.excess()
    # kappa - order * w = order (1 + z - sqrt(1 + z^2)) with z = kappa / order, as one quotient.
    linear = 2 * p.order * kappa / (p.order + kappa + p.radius)
    return linear + p.order * torch.log1p(0.5 * w) + 0.5 * torch.log1p(w) + p.fall(w)


def _large_divergence(kappa: Tensor, twice_order: int) -> Tensor:
    """kappa A - L, in which the terms linear in kappa have cancelled."""
    p = _Point(kappa, twice_order)
    sine = p.square * p.inverse * p.inverse  # 1 - t^2
    slope = sine * (0.5 + horner(p.series.slope, p.x))
    if twice_order == 0:
        return 0.5 * torch.log(2 * math.pi * kappa) - horner(p.series.value, p.x) - slope
    w = p.excess()
    return p.order * torch.log1p(0.5 * w) + 0.5 * torch.log1p(w) + p.fall(w) - slope


def _large_mean_length(kappa: Tensor, twice_order: int) -> Tensor:
    return kappa * _Point(kappa, twice_order).scale()


def _large_complement(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    leading = p.order * (1 + p.order / (p.radius + kappa)) / (p.order + p.radius)
    return leading + kappa * p.inverse * p.inverse * (0.5 + horner(p.series.slope, p.x))


def _large_derivative(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    t = p.order * p.inverse
    slope = horner(p.series.slope, p.x)
    curvature = horner(p.series.curvature, p.x)
    return p.inverse * (t / (1 + t) + p.inverse * (0.5 + curvature - t * t * (1 + slope + curvature)))


# Values at low order and concentration -------------------------------------------------------------

_NEAR = 0.5
_I0 = (0.0, *(1 / math.factorial(k) ** 2 for k in range(1, 8)))
"""Of I_0 - 1 in powers of (kappa / 2)^2, to the last bit below _NEAR."""


def _raised(kappa: Tensor, twice_order: int) -> tuple[Tensor, int, range]:
    """A/kappa at a raised order, that order (doubled), and the doubled orders to come down through."""
    high = twice_order + 2 * math.ceil(SMALLEST_RADIUS - twice_order / 2)
    return _Point(kappa, high).scale(), high, range(high, twice_order, -2)


def _log_i0(kappa: Tensor) -> Tensor:
    """log I_0 below the border: near 0 by the power series, whose sum less 1 has all its digits."""
    near = kappa < _NEAR
    inner = horner(_I0, torch.where(near, 0.25 * kappa * kappa, 0.0))
    outer = torch.where(near, 1.0, kappa)
    return torch.where(near, torch.log1p(inner), outer + torch.special.i0e(outer).log())


def _small_log_partition(kappa: Tensor, twice_order: int) -> Tensor:
    if twice_order == 0:
        return _log_i0(kappa)
    ratio, high, orders = _raised(kappa, twice_order)
    square = kappa * kappa
    growth = torch.zeros_like(kappa)  # product of I_{j-1}/I_j, scaled to 1 at kappa = 0, minus 1
    for j in orders:
        term = square * ratio
        growth = growth + term / j * (1 + growth)
        ratio = 1 / (j + term)
    return _large_log_partition(kappa, high) + torch.log1p(growth)


def _small_ratio(kappa: Tensor, twice_order: int) -> Tensor:
    ratio, _, orders = _raised(kappa, twice_order)
    square = kappa * kappa
    for j in orders:
        ratio = 1 / (j + square * ratio)
    return ratio


def _small_derivative(kappa: Tensor, twice_order: int) -> Tensor:
    ratio, high, orders = _raised(kappa, twice_order)
    square = kappa * kappa
    # slope = d(kappa A)/d(kappa^2); A' = 2 slope - A/kappa at each order.
    slope = 0.5 * (_large_derivative(kappa, high) + ratio)
    for j in orders:
        ratio = 1 / (j + square * ratio)
        slope = ratio * (1 - square * ratio * slope)
    return 2 * slope - ratio


# One function of both --------------------------------------------------------------------------------


def _either(
    kappa: Tensor, n: int, small: Callable[[Tensor, int], Tensor], large: Callable[[Tensor, int], Tensor]
) -> Tensor:
    twice_order = n - 2
    border = SMALLEST_RADIUS**2 - (twice_order / 2) ** 2
    if border <= 0:
        return large(kappa, twice_order)
    border = math.sqrt(border)
    some, others = sides(kappa < border)
    if not others:
        return small(kappa, twice_order)
    if not some:
        return large(kappa, twice_order)
    # Each branch gets concentrations of its own range only, so that `where` passes no NaN gradients.
    low = small(kappa.clamp(max=border), twice_order)
    high = large(kappa.clamp(min=border), twice_order)
    return torch.where(kappa < border, low, high)


def log_partition(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, _small_log_partition, _large_log_partition)


def log_peak(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: k - _small_log_partition(k, v), _large_log_peak)


def divergence(kappa: Tensor, n: int) -> Tensor:
    def small(k: Tensor, v: int) -> Tensor:
        return k * k * _small_ratio(k, v) - _small_log_partition(k, v)

    return _either(kappa, n, small, _large_divergence)


def mean_length(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: k * _small_ratio(k, v), _large_mean_length)


def complement(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: 1 - k * _small_ratio(k, v), _large_complement)


def transverse_variance(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, _small_ratio, lambda k, v: _Point(k, v).scale())


def derivative(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, _small_derivative, _large_derivative)
