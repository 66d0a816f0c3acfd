"""The protocol of one-pass flows: layers, each a bijection of a space, and the flow that runs them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..._geomstats import Manifold
from ..interface import Flow

__all__ = ["Layer", "LayeredFlow", "back_through", "through"]


class Layer(nn.Module, ABC):
    """A learned bijection of a space, which may be conditioned on a context.

    Points are `(*batch, n)`, contexts `(*batch, context_dim)` of the same batch, or None. A layer starts at, or near,
    the identity, and works in the dtype and on the device of its input.
    """

    @abstractmethod
    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The images of points, and the log-volume `(*batch,)` of the map there, in one pass."""

    @abstractmethod
    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The points whose images are y; differentiable in y, the context and the parameters."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same as `call_and_ladj`."""
        return self.call_and_ladj(x, context)


def through(layers: nn.ModuleList, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """Points `(*batch, n)` after all layers, and the log-volume `(*batch,)` of them together."""
    ladj = x.new_zeros(x.shape[:-1])
    for layer in layers:
        x, change = layer(x, context)
        ladj = ladj + change
    return x, ladj


def back_through(layers: nn.ModuleList, y: Tensor, context: Tensor | None) -> Tensor:
    """The points that `through` takes to y."""
    for layer in reversed(cast(list[Layer], list(layers))):
        y = layer.inverse(y, context)
    return y


class LayeredFlow(Flow):
    """A flow whose bijection is a chain of layers, run from data to base.

    Args:
        manifold: The space of the data.
        base: A distribution on the base's space; None for `default_base(manifold)`.
        layers: The layers, from data to base.
        context_dim: Size of the vectors that the layers are conditioned on; 0 for none.

    Attributes:
        layers: The layers as a ModuleList.
    """

    def __init__(self, manifold: Manifold, base: Any, layers: Iterable[Layer], context_dim: int = 0) -> None:
        super().__init__(manifold, base, context_dim)
        self.layers = nn.ModuleList(layers)

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, context = _of_one_batch(x, context, len(self.manifold.shape))
        return through(self.layers, x, context)

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        s, context = _of_one_batch(s, context, len(self.base.event_shape))
        return back_through(self.layers, s, context)


def _of_one_batch(x: Tensor, context: Tensor | None, event_dim: int) -> tuple[Tensor, Tensor | None]:
    """Points and contexts expanded to their common batch shape."""
    if context is None:
        return x, None
    split = x.ndim - event_dim
    if x.shape[:split] == context.shape[:-1]:
        return x, context
    batch = torch.broadcast_shapes(x.shape[:split], context.shape[:-1])
    return x.expand(batch + x.shape[split:]), context.expand(*batch, context.shape[-1])
