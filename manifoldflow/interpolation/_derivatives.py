"""Derivatives of curves by time: forward mode where every function knows it, a double reverse pass elsewhere."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..manifolds.rows import load_forward_mode

__all__ = ["forward_derivative", "reverse_velocity", "velocity_of"]


def forward_derivative(function: Callable[[Tensor], Tensor], point: Tensor, direction: Tensor) -> Tensor:
    """Derivative of `function` at `point` along `direction`, by forward mode; itself differentiable."""
    load_forward_mode()
    return torch.func.jvp(function, (point,), (direction,))[1]


def velocity_of(curve: Callable[[Tensor], Tensor], times: Tensor) -> Tensor:
    """Derivative of every point of `curve` by its own time, by forward mode."""
    return forward_derivative(curve, times, torch.ones_like(times))


def reverse_velocity(curve: Callable[[Tensor], Tensor], times: Tensor) -> Tensor:
    """The same for curves whose inner functions know their reverse derivative only; cut from the graph.

    A double reverse pass turns the transposed product round: the gradient of <J^T v, 1> in v is J 1.
    """
    with torch.enable_grad():
        wanted = times.detach().requires_grad_()
        points = curve(wanted)
        seed = torch.zeros_like(points, requires_grad=True)
        (back,) = torch.autograd.grad(points, wanted, seed, create_graph=True)
        (velocity,) = torch.autograd.grad(back.sum(), seed)
    return velocity
