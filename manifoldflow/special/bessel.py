r"""Bessel functions as von Mises-Fisher distributions need them, at every order and concentration.

On the unit sphere of R^n the density :math:`e^{\kappa \mu \cdot s}` integrates, relative to the uniform
distribution, to :math:`e^{L(\kappa)}` with

.. math:: L(\kappa) = \log {}_0F_1(; n/2; \kappa^2/4)
                    = \log \frac{\Gamma(\nu + 1) I_\nu(\kappa)}{(\kappa/2)^\nu}, \quad \nu = n/2 - 1,

and :math:`A = L' = I_{\nu+1}(\kappa) / I_\nu(\kappa)` is its mean resultant length. These functions return
L, A and the differences that lose digits when formed from them. Each works on a tensor of concentrations
:math:`\kappa \ge 0` of any shape and a fixed n >= 2; the result has the shape, dtype and device of
`kappa`; the arithmetic is float64. All are differentiable any number of times, also at 0.

Method: the logarithm of Debye's uniform expansion where :math:`R = \sqrt{\nu^2 + \kappa^2} \ge 32`;
below that, the same at an order raised to 32 or more, and back down by the three-term recurrence, all of
whose terms are positive. The expansions (DLMF 10.41.3, 10.29.1) are rearranged so that no difference of
large numbers remains.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._debye import SMALLEST_RADIUS, series

__all__ = [
    "log_sphere_area",
    "vmf_divergence",
    "vmf_log_partition",
    "vmf_log_peak",
    "vmf_mean_length",
    "vmf_mean_length_complement",
    "vmf_mean_length_derivative",
]


def log_sphere_area(n: int) -> float:
    """Log of the surface area of the unit sphere in R^n, log(2 pi^(n/2) / Gamma(n/2)), n >= 1."""
    return math.log(2.0) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)


def vmf_log_partition(kappa: Tensor, n: int) -> Tensor:
    """L(kappa), the log of the mean of exp(kappa mu.s) over the uniform distribution; derivative A."""
    return _float64(_LogPartition.apply, kappa, n)


def vmf_log_peak(kappa: Tensor, n: int) -> Tensor:
    """kappa - L(kappa), the log density at the mode relative to the uniform distribution."""
    return _float64(_LogPeak.apply, kappa, n)


def vmf_divergence(kappa: Tensor, n: int) -> Tensor:
    """kappa A - L, the Kullback-Leibler divergence to the uniform distribution; derivative kappa A'."""
    return _float64(_Divergence.apply, kappa, n)


def vmf_mean_length(kappa: Tensor, n: int) -> Tensor:
    """A(kappa) = I_{n/2}(kappa) / I_{n/2-1}(kappa), in [0, 1)."""
    return _float64(_MeanLength.apply, kappa, n)


def vmf_mean_length_complement(kappa: Tensor, n: int) -> Tensor:
    """1 - A(kappa), which A itself cannot tell from 0 at high concentration."""
    return _float64(_Complement.apply, kappa, n)


def vmf_mean_length_derivative(kappa: Tensor, n: int) -> Tensor:
    """A'(kappa) = 1 - A^2 - (n - 1) A / kappa, the variance of mu.s."""
    return _float64(_derivative, kappa, n)


def _float64(function: Callable[[Tensor, int], Tensor], kappa: Tensor, n: int) -> Tensor:
    return function(kappa.double(), n).to(kappa.dtype)


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

    def scale(self) -> Tensor:
        """What multiplies kappa in A: 1/(order + R) - h^2 (1/2 + T)."""
        correction = self.inverse * self.inverse * (0.5 + _horner(self.series.slope, self.x))
        return (self.order + self.radius).reciprocal() - correction


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _large_log_partition(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    if p.order < SMALLEST_RADIUS:
        return kappa - _large_log_peak(kappa, twice_order)
    w = p.excess()
    rest = w * p.order * p.inverse * _horner(p.series.complement, p.x)
    return p.order * (w - torch.log1p(0.5 * w)) - 0.5 * torch.log1p(w) - rest


def _large_log_peak(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    if p.order < SMALLEST_RADIUS:
        # Here R >= 32 says that kappa is not small, and the expansion need not vanish at 0.
        level = 0.5 * math.log(2 * math.pi) - p.order * math.log(2.0) - math.lgamma(p.order + 1)
        logs = 0.5 * torch.log(p.radius) + p.order * torch.log(p.order + p.radius)
        return logs - p.order**2 / (kappa + p.radius) + level - _horner(p.series.value, p.x)
    w = p.excess()
    # kappa - order * w = order (1 + z - sqrt(1 + z^2)) with z = kappa / order, as one quotient.
    linear = 2 * p.order * kappa / (p.order + kappa + p.radius)
    rest = w * p.order * p.inverse * _horner(p.series.complement, p.x)
    return linear + p.order * torch.log1p(0.5 * w) + 0.5 * torch.log1p(w) + rest


def _large_divergence(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    sine = p.square * p.inverse * p.inverse  # 1 - t^2
    slope = sine * (0.5 + _horner(p.series.slope, p.x))
    if p.order < SMALLEST_RADIUS:
        # L - kappa A with the terms linear in kappa cancelled: R - kappa^2/(order + R) = order.
        level = math.lgamma(p.order + 1) + p.order * math.log(2.0) - 0.5 * math.log(2 * math.pi) + p.order
        logs = 0.5 * torch.log(p.radius) + p.order * torch.log(p.order + p.radius)
        return logs - level - _horner(p.series.value, p.x) - slope
    w = p.excess()
    rest = w * p.order * p.inverse * _horner(p.series.complement, p.x)
    return p.order * torch.log1p(0.5 * w) + 0.5 * torch.log1p(w) + rest - slope


def _large_mean_length(kappa: Tensor, twice_order: int) -> Tensor:
    return kappa * _Point(kappa, twice_order).scale()


def _large_complement(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    leading = p.order * (1 + p.order / (p.radius + kappa)) / (p.order + p.radius)
    return leading + kappa * p.inverse * p.inverse * (0.5 + _horner(p.series.slope, p.x))


def _large_derivative(kappa: Tensor, twice_order: int) -> Tensor:
    p = _Point(kappa, twice_order)
    t = p.order * p.inverse
    slope = _horner(p.series.slope, p.x)
    curvature = _horner(p.series.curvature, p.x)
    return p.inverse * (t / (1 + t) + p.inverse * (0.5 + curvature - t * t * (1 + slope + curvature)))


# Values at low order and concentration -------------------------------------------------------------


def _raised(kappa: Tensor, twice_order: int) -> tuple[Tensor, int, range]:
    """A/kappa at a raised order, that order (doubled), and the doubled orders to come down through."""
    high = twice_order + 2 * math.ceil(SMALLEST_RADIUS - twice_order / 2)
    return _Point(kappa, high).scale(), high, range(high, twice_order, -2)


def _small_log_partition(kappa: Tensor, twice_order: int) -> Tensor:
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
    # Each branch gets concentrations of its own range only, so that `where` passes no NaN gradients.
    low = small(kappa.clamp(max=border), twice_order)
    high = large(kappa.clamp(min=border), twice_order)
    return torch.where(kappa < border, low, high)


def _log_partition(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, _small_log_partition, _large_log_partition)


def _log_peak(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: k - _small_log_partition(k, v), _large_log_peak)


def _divergence(kappa: Tensor, n: int) -> Tensor:
    def small(k: Tensor, v: int) -> Tensor:
        return k * k * _small_ratio(k, v) - _small_log_partition(k, v)

    return _either(kappa, n, small, _large_divergence)


def _mean_length(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: k * _small_ratio(k, v), _large_mean_length)


def _complement(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, n, lambda k, v: 1 - k * _small_ratio(k, v), _large_complement)


def _derivative(kappa: Tensor, n: int) -> Tensor:
    """Made of differentiable operations, so that all further derivatives come from autograd."""
    return _either(kappa, n, _small_derivative, _large_derivative)


class _WithDerivative(torch.autograd.Function):
    """A value with an analytic derivative, which is itself differentiable."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        kappa, ctx.n = inputs
        ctx.save_for_backward(kappa)


class _MeanLength(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _mean_length(kappa, n)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * _derivative(ctx.saved_tensors[0], ctx.n), None


class _Complement(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _complement(kappa, n)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return -grad * _derivative(ctx.saved_tensors[0], ctx.n), None


class _LogPartition(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _log_partition(kappa, n)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * _MeanLength.apply(ctx.saved_tensors[0], ctx.n), None


class _LogPeak(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _log_peak(kappa, n)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * _Complement.apply(ctx.saved_tensors[0], ctx.n), None


class _Divergence(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _divergence(kappa, n)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (kappa,) = ctx.saved_tensors
        return grad * kappa * _derivative(kappa, ctx.n), None
