"""Tails in log form: log(1 - e^x) and the normal quantile of a log-probability."""

import math
from typing import Any

import torch
from torch import Tensor

from ..checks import check_tensors

__all__ = ["log1mexp", "log_ndtri"]


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^x) for x <= 0, without cancellation near zero or in the tail; -inf from zero on."""
    check_tensors({"x": x})
    near = x > -math.log(2)
    small = torch.where(near & (x < 0), x, -math.log(2))
    log_near = torch.where(x < 0, torch.log(-torch.expm1(small)), -math.inf)
    return torch.where(near, log_near, torch.log1p(-torch.where(near, -1.0, x).exp()))


def _log_density(z: Tensor) -> Tensor:
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi)


class _LogNdtri(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(log_p: Tensor) -> Tensor:
        inner = torch.where(torch.isfinite(log_p) & (log_p < 0), log_p, -1.0)
        # Up to the median Newton works on log Phi(z); beyond it, on the other tail.
        flip = inner > -math.log(2)
        goal = torch.where(flip, log1mexp(inner), inner)
        deep = -(-2 * goal - (-4 * math.pi * goal.clamp(max=-1.0)).log()).clamp(min=0.0).sqrt()
        z = torch.where(goal < -20.0, deep, torch.special.ndtri(goal.clamp(min=-30.0).exp()))
        for _ in range(4):
            tail = torch.special.log_ndtr(z)
            z = z - (tail - goal) * torch.exp(tail - _log_density(z))
        z = torch.where(flip, -z, z)
        z = torch.where(log_p == -math.inf, -math.inf, torch.where(log_p == 0, math.inf, z))
        return torch.where(log_p <= 0, z, math.nan)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        log_p, z = ctx.saved_tensors
        edge = ~torch.isfinite(z)
        slope = torch.exp(torch.where(edge, 0.0, log_p) - _log_density(torch.where(edge, 0.0, z)))
        return torch.where(edge, 0.0, grad * slope)


def log_ndtri(log_p: Tensor) -> Tensor:
    """The normal quantile of p given as log p <= 0; the inverse of `torch.special.log_ndtr`.

    Any shape; computed in float64, result in the dtype of `log_p`; -inf at -inf, inf at zero, NaN above
    zero. Accurate where p itself underflows. Twice differentiable; the gradient is zero at the ends.
    """
    check_tensors({"log_p": log_p})
    return _LogNdtri.apply(log_p.double()).to(log_p.dtype)
