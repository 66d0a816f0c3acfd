r"""The formulas of `bessel` in closed form for n = 3, where :math:`L = \log(\sinh\kappa / \kappa)`, float64.

Up to a concentration of 2 by power series in kappa^2 whose terms are all positive, above by exponentials of -2 kappa.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .series import horner, sides

__all__ = ["complement", "derivative", "divergence", "log_partition", "log_peak", "mean_length", "transverse_variance"]

_BORDER = 2.0
# sinh(k)/k - 1 over k^2 / 6, and (k cosh k - sinh k)/k^3 times 3, as series in k^2
_SINH = tuple(6 / math.factorial(2 * k + 3) for k in range(12))
_SLOPE = tuple(3 * (2 * k + 2) / math.factorial(2 * k + 3) for k in range(13))


def _either(kappa: Tensor, small: Callable[[Tensor], Tensor], large: Callable[[Tensor], Tensor]) -> Tensor:
    below = kappa < _BORDER
    some, others = sides(below)
    if not others:
        return small(kappa)
    if not some:
        return large(kappa)
    # Each branch gets concentrations of its own range only, so that `where` passes no NaN gradients.
    return torch.where(below, small(kappa.clamp(max=_BORDER)), large(kappa.clamp(min=_BORDER)))


def _growth(square: Tensor) -> Tensor:
    """sinh(kappa) / kappa - 1."""
    return square * horner(_SINH, square) / 6


def _ratio(kappa: Tensor) -> Tensor:
    """A / kappa, for small concentrations."""
    square = kappa * kappa
    return horner(_SLOPE, square) / (3 * (1 + _growth(square)))


def _small_partition(kappa: Tensor) -> Tensor:
    return torch.log1p(_growth(kappa * kappa))


def _excess(kappa: Tensor) -> Tensor:
    """coth(kappa) - 1, for large concentrations."""
    decay = torch.exp(-2 * kappa)
    return 2 * decay / (1 - decay)


def _large_peak(kappa: Tensor) -> Tensor:
    return torch.log(2 * kappa) - torch.log1p(-torch.exp(-2 * kappa))


def log_partition(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, _small_partition, lambda k: k - _large_peak(k))


def log_peak(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, lambda k: k - _small_partition(k), _large_peak)


def divergence(kappa: Tensor, n: int) -> Tensor:
    return _either(
        kappa,
        lambda k: k * k * _ratio(k) - _small_partition(k),
        lambda k: k * _excess(k) - 1 + _large_peak(k),
    )


def mean_length(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, lambda k: k * _ratio(k), lambda k: 1 - (1 / k - _excess(k)))


def complement(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, lambda k: 1 - k * _ratio(k), lambda k: 1 / k - _excess(k))


def transverse_variance(kappa: Tensor, n: int) -> Tensor:
    return _either(kappa, _ratio, lambda k: (1 - (1 / k - _excess(k))) / k)


def derivative(kappa: Tensor, n: int) -> Tensor:
    def small(k: Tensor) -> Tensor:
        ratio = _ratio(k)
        return 1 - ratio * (k * k * ratio + 2)

    def large(k: Tensor) -> Tensor:
        excess = _excess(k)
        return 1 / k**2 - excess * (excess + 2)  # csch^2 = coth^2 - 1

    return _either(kappa, small, large)
