"""Networks that give a velocity at every time and point, tangent by construction."""

import math
from functools import singledispatch

import torch
from torch import Tensor, nn

from ..._geomstats import Manifold
from ...checks import check_integer, check_number
from ...manifolds import Product, Simplex, Torus
from ...manifolds.rows import safe_sqrt

__all__ = ["VectorField", "features"]


@singledispatch
def features(space: Manifold, x: Tensor) -> Tensor:
    """What a network reads of points `(*batch, *space.shape)`: their coordinates, flat."""
    return x.flatten(x.ndim - len(space.shape)) if space.shape else x[..., None]


@features.register
def _(space: Torus, x: Tensor) -> Tensor:
    """Cosines and sines of the angles."""
    return torch.cat([x.cos(), x.sin()], dim=-1)


@features.register
def _(space: Simplex, x: Tensor) -> Tensor:
    """Square roots, points of a sphere, times the root of their number: near 1 in any dimension."""
    return math.sqrt(x.shape[-1]) * safe_sqrt(x)


@features.register
def _(space: Product, x: Tensor) -> Tensor:
    return torch.cat([features(factor, part) for factor, part in zip(space.factors, space.split(x))], dim=-1)


class VectorField(nn.Module):
    """A residual network of time and point to an ambient vector; `FlowMatching` projects it to the tangent space.

    Args:
        space: Any geomstats space; points are `(*batch, *space.shape)`.
        hidden: Width of the layers.
        layers: Number of residual layers.
        context_dim: Size of the vectors to condition on; 0 for none.
        frequencies: Of the time's sines and cosines, 1 to `frequencies` half turns.
        waves: Number of random plane waves of the point's features, whose sines and cosines are read as well: they
            resolve what is fine.
        wave_number: Standard deviation of the coordinates of their wave vectors.

    Raises:
        ValueError: A size below 1 (`context_dim`, `frequencies`, `waves`: below 0), or a `wave_number` not positive.

    The last layer starts at zero, so that the first flow is the identity. On a torus the network reads sines and
    cosines of the angles, which makes it periodic. Random features: M. Tancik et al., NeurIPS 2020 (arXiv 2006.10739).

    Example:
        >>> field = VectorField(mf.Hypersphere(2), hidden=32)
        >>> field(torch.rand(5), torch.eye(3)[:1].expand(5, 3)).shape
        torch.Size([5, 3])
    """

    turns: Tensor
    vectors: Tensor

    def __init__(
        self,
        space: Manifold,
        *,
        hidden: int = 128,
        layers: int = 4,
        context_dim: int = 0,
        frequencies: int = 4,
        waves: int = 0,
        wave_number: float = 4.0,
    ) -> None:
        super().__init__()
        self.space = space
        check_integer("hidden", hidden)
        check_integer("layers", layers)
        width = features(space, torch.zeros(1, *space.shape)).shape[-1]
        turns = math.pi * torch.arange(1, check_integer("frequencies", frequencies, least=0) + 1)
        self.register_buffer("turns", turns)
        check_integer("waves", waves, least=0)
        vectors = check_number("wave_number", wave_number, positive=True) * torch.randn(width, waves)
        self.register_buffer("vectors", vectors)
        inputs = width + 2 * waves + 1 + 2 * frequencies + check_integer("context_dim", context_dim, least=0)
        self.first = nn.Linear(inputs, hidden)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU()) for _ in range(layers - 1))
        self.last = nn.Linear(hidden, math.prod(space.shape))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, t: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Vectors `(*batch, *space.shape)` at times `(*batch,)` and points `(*batch, *space.shape)`."""
        read = features(self.space, x)
        angle = t[..., None] * self.turns
        parts = [read, t[..., None].to(read), angle.cos().to(read), angle.sin().to(read)]
        if self.vectors.numel():
            phase = read @ self.vectors
            parts += [phase.cos(), phase.sin()]
        if context is not None:
            parts.append(context.expand(*read.shape[:-1], context.shape[-1]))
        h = nn.functional.silu(self.first(torch.cat(parts, dim=-1)))
        for block in self.blocks:
            h = h + block(h)
        return self.last(h).reshape(x.shape)
