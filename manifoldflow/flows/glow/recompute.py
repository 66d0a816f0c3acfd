"""Training in memory that does not grow with the number of steps: activations are made again through the inverse.

Reference: A. Gomez, M. Ren, R. Urtasun and R. Grosse, The reversible residual network, 2017 (arXiv 1707.04585).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from ..flow import full_precision
from .layers import AffineCoupling, scale_and_shift

__all__ = ["run_steps", "steps_recomputed"]

Maps = Sequence[tuple[Tensor, Tensor]]


def run_steps(
    x: Tensor, ladj: Tensor, couplings: Iterable[nn.Module], maps: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """A level's steps on images (b, c, h, w), each a convolution and a coupling; adds their log-determinants."""
    for (kernel, bias), coupling in zip(maps, couplings):
        with full_precision(x):
            x = conv2d(x, kernel, bias)
        x, volume = coupling(x)
        ladj = ladj + volume
    return x, ladj


def steps_recomputed(
    x: Tensor, couplings: Sequence[AffineCoupling], maps: Maps, inverse_maps: Maps
) -> tuple[Tensor, Tensor]:
    """A level's steps on images (b, c, h, w): their image, and the couplings' log-determinant (b,).

    Only the image is kept. On the way back each step is undone and its gradients are found, for which its network runs
    once more: activations of one step at a time. These gradients have no gradients of their own.

    Args:
        x: Images.
        couplings, maps: Each step's coupling, and the convolution (kernel, bias) before it.
        inverse_maps: The convolutions that undo those of `maps`, without gradients.
    """
    weights = [tensor for pair in maps for tensor in pair]
    weights += [weight for coupling in couplings for weight in coupling.parameters()]
    y, volume = _Steps.apply(x, couplings, inverse_maps, *weights)
    return y, volume


def _back_through_coupling(
    coupling: AffineCoupling, y: Tensor, grad_y: Tensor, grad_volume: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The point whose image is y, and the gradients there and of the weights; the network runs once."""
    a, image = y.split(coupling.split, dim=1)
    grad_a, grad_image = grad_y.split(coupling.split, dim=1)
    a = a.detach().requires_grad_()
    with torch.enable_grad():
        log_scale, shift = scale_and_shift(coupling.net, a)
        b = ((image - shift) * (-log_scale).exp()).detach().requires_grad_()
        outputs = torch.addcmul(shift, b, log_scale.exp()), log_scale.sum((1, 2, 3))
    through_net, grad_b, *of_weights = torch.autograd.grad(
        outputs, [a, b, *coupling.parameters()], (grad_image, grad_volume)
    )
    return torch.cat([a.detach(), b.detach()], 1), torch.cat([grad_a + through_net, grad_b], 1), of_weights


def _back_through_map(
    weights: Sequence[Tensor], inverse: tuple[Tensor, Tensor], y: Tensor, grad_y: Tensor
) -> tuple[Tensor, ...]:
    """The point whose image is y, and the gradients there, of the kernel and of the bias."""
    kernel, bias = (weight.detach().requires_grad_() for weight in weights)
    x = conv2d(y, *inverse).requires_grad_()
    with torch.enable_grad():
        image = conv2d(x, kernel, bias)
    return x.detach(), *torch.autograd.grad(image, (x, kernel, bias), grad_y)


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, couplings: Sequence[AffineCoupling], inverse_maps: Maps, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        maps = zip(weights[: 2 * len(couplings) : 2], weights[1 : 2 * len(couplings) : 2])
        x, volume = run_steps(x, x.new_zeros(len(x)), couplings, maps)
        kind = x.device.type
        ctx.autocast = kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
        ctx.couplings, ctx.inverse_maps = couplings, inverse_maps
        ctx.save_for_backward(x, *weights)
        return x, volume

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_volume: Tensor) -> tuple[Tensor | None, ...]:
        y, *weights = ctx.saved_tensors
        of_maps: list[Tensor] = []
        of_couplings: list[Tensor] = []
        kind, dtype, enabled = ctx.autocast
        for k in reversed(range(len(ctx.couplings))):
            with torch.autocast(kind, dtype=dtype, enabled=enabled):
                y, grad_y, of_coupling = _back_through_coupling(ctx.couplings[k], y, grad_y, grad_volume)
                with full_precision(y):
                    y, grad_y, *of_map = _back_through_map(weights[2 * k : 2 * k + 2], ctx.inverse_maps[k], y, grad_y)
            of_maps[:0], of_couplings[:0] = of_map, of_coupling
        return grad_y, None, None, *of_maps, *of_couplings
