"""Derivatives by time of curves whose inner functions know their reverse derivative only."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["reverse_velocity"]


def reverse_velocity(curve: Callable[[Tensor], Tensor], times: Tensor) -> Tensor:
    """Derivative of every point of `curve` by its own time, shape of the points.

    A double reverse pass turns the transposed product round: the gradient of <J^T v, 1> in v is J 1. The result is cut
    from the graph.
    """
    with torch.enable_grad():
        wanted = times.detach().requires_grad_()
        points = curve(wanted)
        seed = torch.zeros_like(points, requires_grad=True)
        (back,) = torch.autograd.grad(points, wanted, seed, create_graph=True)
        (velocity,) = torch.autograd.grad(back.sum(), seed)
    return velocity
