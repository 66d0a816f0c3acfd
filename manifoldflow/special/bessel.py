r"""Bessel functions as von Mises-Fisher distributions need them, at every order and concentration.

On the unit sphere of R^n the density :math:`e^{\kappa \mu \cdot s}` integrates, relative to the uniform
distribution, to :math:`e^{L(\kappa)}` with

.. math:: L(\kappa) = \log {}_0F_1(; n/2; \kappa^2/4)
                    = \log \frac{\Gamma(\nu + 1) I_\nu(\kappa)}{(\kappa/2)^\nu}, \quad \nu = n/2 - 1,

and :math:`A = L' = I_{\nu+1}(\kappa) / I_\nu(\kappa)` is its mean resultant length. These functions return
L, A and the differences that lose digits when formed from them. Each works on a tensor of concentrations
:math:`\kappa \ge 0` of any shape and a fixed n >= 2; the result has the shape, dtype and device of
`kappa`; the arithmetic is float64. All are differentiable any number of times, also at 0. NaN gives NaN; negative
and infinite concentrations are outside the domain, and what they give is not defined.

Method: the logarithm of Debye's uniform expansion where :math:`R = \sqrt{\nu^2 + \kappa^2} \ge 32`;
below that, the same at an order raised to 32 or more, and back down by the three-term recurrence, all of
whose terms are positive. The expansions (DLMF 10.41.3, 10.29.1) are rearranged so that no difference of
large numbers remains.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..checks import check_integer, check_tensors, check_values
from . import _bessel_three, _bessel_values

__all__ = [
    "log_sphere_area",
    "vmf_concentration",
    "vmf_divergence",
    "vmf_log_partition",
    "vmf_log_peak",
    "vmf_mean_length",
    "vmf_mean_length_complement",
    "vmf_mean_length_derivative",
    "vmf_transverse_variance",
]

_MOST_STEPS = 50


def log_sphere_area(n: int) -> float:
    """Log of the surface area of the unit sphere in R^n, log(2 pi^(n/2) / Gamma(n/2)), n >= 1."""
    n = check_integer("n", n, 1)
    return math.log(2.0) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)


def vmf_log_partition(kappa: Tensor, n: int) -> Tensor:
    """L(kappa), the log of the mean of exp(kappa mu.s) over the uniform distribution; derivative A."""
    return _float64(_LogPartition.apply, "log_partition", kappa, n)


def vmf_log_peak(kappa: Tensor, n: int) -> Tensor:
    """kappa - L(kappa), the log density at the mode relative to the uniform distribution."""
    return _float64(_LogPeak.apply, "log_peak", kappa, n)


def vmf_divergence(kappa: Tensor, n: int) -> Tensor:
    """kappa A - L, the Kullback-Leibler divergence to the uniform distribution; derivative kappa A'."""
    return _float64(_Divergence.apply, "divergence", kappa, n)


def vmf_mean_length(kappa: Tensor, n: int) -> Tensor:
    """A(kappa) = I_{n/2}(kappa) / I_{n/2-1}(kappa), in [0, 1)."""
    return _float64(_MeanLength.apply, "mean_length", kappa, n)


def vmf_mean_length_complement(kappa: Tensor, n: int) -> Tensor:
    """1 - A(kappa), which A itself cannot tell from 0 at high concentration."""
    return _float64(_Complement.apply, "complement", kappa, n)


def vmf_mean_length_derivative(kappa: Tensor, n: int) -> Tensor:
    """A'(kappa) = 1 - A^2 - (n - 1) A / kappa, the variance of mu.s."""
    return _float64(None, "derivative", kappa, n)


def vmf_transverse_variance(kappa: Tensor, n: int) -> Tensor:
    """A(kappa) / kappa, the variance of a coordinate orthogonal to mu; 1/n at 0."""
    return _float64(None, "transverse_variance", kappa, n)


def _values(n: int) -> Any:
    """The module that has the formulas for n."""
    return _bessel_three if n == 3 else _bessel_values


def _float64(function: Any, name: str, kappa: Tensor, n: int) -> Tensor:
    """The value by `function`, which knows its derivative; under forward-mode differentiation by its plain operations.

    torch loses derivatives of derivatives, without a word, where a jvp of an autograd.Function is nested in another.
    """
    if type(kappa) is not Tensor or not kappa.is_floating_point():
        check_tensors({"kappa": kappa})
    n = check_integer("n", n, 2)
    if function is None or forward_ad._current_level >= 0:
        return getattr(_values(n), name)(kappa.double(), n).to(kappa.dtype)
    return function(kappa.double(), n).to(kappa.dtype)


class _WithDerivative(torch.autograd.Function):
    """A value with an analytic derivative, which is itself differentiable."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        kappa, ctx.n = inputs
        ctx.save_for_backward(kappa)


class _MeanLength(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _values(n).mean_length(kappa, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * _values(ctx.n).derivative(ctx.saved_tensors[0], ctx.n), None


class _Complement(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _values(n).complement(kappa, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return -grad * _values(ctx.n).derivative(ctx.saved_tensors[0], ctx.n), None


class _LogPartition(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _values(n).log_partition(kappa, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * _MeanLength.apply(ctx.saved_tensors[0], ctx.n), None


class _LogPeak(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _values(n).log_peak(kappa, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * _Complement.apply(ctx.saved_tensors[0], ctx.n), None


class _Divergence(_WithDerivative):
    @staticmethod
    def forward(kappa: Tensor, n: int) -> Tensor:
        return _values(n).divergence(kappa, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kappa,) = ctx.saved_tensors
        return grad * kappa * _values(ctx.n).derivative(kappa, ctx.n), None


class _Concentration(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(length: Tensor, missing: Tensor, n: int) -> Tensor:
        # Banerjee et al. (JMLR 6, 2005, eq. 4.4), then Newton's method for 1/(1 - A), which is nearly linear.
        kappa = length * (n - length * length) / (missing * (1 + length))
        for _ in range(_MOST_STEPS):
            complement = vmf_mean_length_complement(kappa, n)
            slope = vmf_mean_length_derivative(kappa, n)
            low = (vmf_mean_length(kappa, n) - length) / slope  # where both lengths are small, this keeps the digits
            high = (missing - complement) * complement / (missing * slope)
            step = torch.where(length < 0.5, low, high)
            kappa = (kappa - step).clamp(min=0)
            if bool((step.abs() <= 1e-15 * kappa).all()):
                break
        return kappa

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        ctx.n = inputs[2]
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        length, kappa = ctx.saved_tensors
        grad = grad / vmf_mean_length_derivative(kappa, ctx.n)
        low = length < 0.5
        return torch.where(low, grad, 0.0), torch.where(low, 0.0, -grad), None


def vmf_concentration(length: Tensor, n: int, *, complement: Tensor | None = None) -> Tensor:
    """kappa with A(kappa) = `length`, for lengths in [0, 1), any shape, and n >= 2; the inverse of `vmf_mean_length`.

    `complement` is 1 - `length`, for whoever has it with more digits than the difference. Computed in float64, result
    in the dtype of `length`; differentiable any number of times.
    """
    n = check_integer("n", n, 2)
    check_tensors({"length": length} if complement is None else {"length": length, "complement": complement})
    check_values(length=length)  # Newton's method looks at them
    full = length.double()
    missing = 1 - full if complement is None else complement.double().expand(full.shape)
    return _Concentration.apply(full, missing, n).to(length.dtype)
