"""The concentration at which a von Mises-Fisher distribution has a given mean resultant length."""

from typing import Any

import torch
from torch import Tensor

from .bessel import vmf_mean_length, vmf_mean_length_complement, vmf_mean_length_derivative

__all__ = ["vmf_concentration"]

_MOST_STEPS = 50


class _Concentration(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(length: Tensor, n: int) -> Tensor:
        missing = 1 - length
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
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.n = inputs[1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kappa,) = ctx.saved_tensors
        return grad / vmf_mean_length_derivative(kappa, ctx.n), None


def vmf_concentration(length: Tensor, n: int) -> Tensor:
    """kappa with A(kappa) = `length`, for lengths in [0, 1), any shape, and n >= 2; the inverse of `vmf_mean_length`.

    Computed in float64, result in the dtype of `length`; differentiable any number of times.
    """
    return _Concentration.apply(length.double(), n).to(length.dtype)
