"""Layers of tori: maps of some angles, conditioned on the sines and cosines of others."""

import torch
from pyro.nn.auto_reg_nn import MaskedLinear, create_mask
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from ...manifolds.torus import wrap
from .circle_maps import CIRCLE_MAPS, CircleMap, separate
from .coupling import Coupling
from .layers import Layer
from .networks import Conditioner

__all__ = ["AutoregressiveLayer", "CouplingLayer"]


class CouplingLayer(Coupling):
    """Moves some angles, each by a map of the circle that depends on the angles that stay.

    Args:
        moves: A mask `(d,)` of the angles that move.
        kind: "spline" or "moebius".
        bins: Bins of a spline, or centres of a Moebius mixture.
        hidden: Width of the network.
        context_dim: Size of the context.
    """

    def __init__(self, moves: Tensor, *, kind: str, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__(moves)
        self.kind = CIRCLE_MAPS[kind]
        self.count = self.kind.count(bins)
        self.net = Conditioner(2 * len(self.kept), len(self.moved) * (self.count + 1), hidden, context_dim)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moved, kept = self.split(x)
        y, log_slope = self._map(kept, context)(moved)
        return self.join(wrap(y), kept), log_slope.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        moved, kept = self.split(y)
        x = self._map(kept, context).inverse(moved)
        return self.join(wrap(x), kept)

    def _map(self, kept: Tensor, context: Tensor | None) -> CircleMap:
        raw = self.net(torch.cat([kept.cos(), kept.sin()], -1), context).unflatten(-1, (len(self.moved), -1))
        return self.kind.make(*separate(raw))


class AutoregressiveLayer(Layer):
    """Moves every angle by a map of the circle that depends on the angles before it.

    The images of data take one pass of the network, the way back one pass for every angle.

    Args:
        order: The angles in the order in which they depend on one another, a permutation `(d,)`.
        kind: "spline" or "moebius".
        bins: Bins of a spline, or centres of a Moebius mixture.
        hidden: Width of the masked network (MADE, arXiv 1502.03509), at least d.
        context_dim: Size of the context.
    """

    def __init__(self, order: Tensor, *, kind: str, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        size = len(order)
        self.places = order.tolist()
        self.kind = CIRCLE_MAPS[kind]
        self.count = self.kind.count(bins)
        # One context at least: Pyro's masks without one leave the first angle's neurons out of the first layer.
        masks, _ = create_mask(size, max(context_dim, 1), [hidden, hidden], order, self.count + 1)
        read = masks[0][:, max(context_dim, 1) :]
        masks[0] = torch.cat([masks[0][:, :context_dim], read, read], -1)
        last = MaskedLinear(hidden, size * (self.count + 1), masks[2])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = MaskedLinear(context_dim + 2 * size, hidden, masks[0])
        self.net = nn.Sequential(first, nn.SiLU(), MaskedLinear(hidden, hidden, masks[1]), nn.SiLU(), last)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, log_slope = self._map(x, context)(x)
        return wrap(y), log_slope.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        x, size = torch.zeros_like(y), y.shape[-1]
        masked = [layer for layer in self.net if isinstance(layer, MaskedLinear)]
        *hidden, (weight, bias) = [(layer.weight * layer.mask, layer.bias) for layer in masked]
        unit = torch.eye(size, dtype=torch.bool, device=y.device)
        for index in self.places:  # of the last layer, the rows of that angle only
            read = _read(x, context)
            for each in hidden:
                read = silu(linear(read, *each))
            raw = linear(read, weight[index::size], bias[index::size])
            moved = wrap(self.kind.make(*separate(raw)).inverse(y[..., index]))
            x = torch.where(unit[index], moved[..., None], x)
        return x

    def _map(self, x: Tensor, context: Tensor | None) -> CircleMap:
        raw = self.net(_read(x, context)).unflatten(-1, (self.count + 1, x.shape[-1])).mT
        return self.kind.make(*separate(raw))


def _read(x: Tensor, context: Tensor | None) -> Tensor:
    """What the masked network reads, the context first."""
    return torch.cat([x.cos(), x.sin()] if context is None else [context, x.cos(), x.sin()], -1)
