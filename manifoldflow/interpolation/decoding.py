"""Decoders as curves see them: only distances between decoded points matter."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["isometric"]


def isometric(decoder: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    r"""A cheaper decoder with the same distances, if the last layer of `decoder` is linear; else `decoder`
    itself.

    :math:`|W h - W h'| = |R h - R h'|` with the QR decomposition W = QR, so a last layer from m to N > m
    numbers is measured exactly in m of them. Understood are `nn.Sequential`s that end in `nn.Linear`, also
    nested and with reshaping layers behind it. The parameters of the layers before are shared with `decoder`;
    R is a constant.
    """
    if not isinstance(decoder, nn.Module):
        return decoder
    layers = _flattened(decoder)
    while layers and isinstance(layers[-1], nn.Flatten | nn.Unflatten | nn.Identity):
        layers.pop()
    if not layers or not isinstance(layers[-1], nn.Linear):
        return decoder
    last = layers[-1]
    if last.out_features <= last.in_features:
        return decoder
    # The decomposition in float64: its error must stay below that of the float32 product it replaces.
    triangle = torch.linalg.qr(last.weight.detach().double(), mode="r").R.to(last.weight.dtype)
    small = nn.Linear(last.in_features, last.in_features, bias=False, device="meta")
    small.weight = nn.Parameter(triangle, requires_grad=False)
    return nn.Sequential(*layers[:-1], small)


def _flattened(module: nn.Module) -> list[nn.Module]:
    if not isinstance(module, nn.Sequential):
        return [module]
    return [layer for part in module for layer in _flattened(part)]
