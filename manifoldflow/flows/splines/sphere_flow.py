"""One-pass flows of unit vectors, in any dimension."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ...checks import check_integer
from ...manifolds import Hypersphere
from .block_layers import BlockCoupling, SphereMap, SplitLayer
from .layers import Layer, LayeredFlow
from .sphere_layers import AxisLayer, Rotation, TurnLayer

__all__ = ["SphereFlow"]

_RECURSIVE = 8
"""Up to this dimension each layer moves one coordinate after the other; above, blocks of coordinates."""


class SphereFlow(LayeredFlow):
    """A flow of unit vectors on the sphere S^dim.

    Up to dimension 8 every transform moves the coordinates one after the other, by splines along the axes of the
    nested spheres S^dim, ..., S^2 and around the last of them, each given the other coordinates, after a learned
    rotation. Above, it moves the angle between two halves of the coordinates by a spline given both directions, then
    the direction in each half given the other half by conformal and projective maps, so that cost grows linearly with
    the dimension.

    Args:
        dim: Dimension of the sphere, at least 1; data are unit vectors `(*batch, dim + 1)`.
        transforms: Number of such rounds.
        bins: Bins of each spline, at least 2.
        hidden: Width of the two hidden layers of each network.
        context_dim: Size of the vectors to condition on; 0 for none.
        base: A distribution on `Hypersphere(dim)`; by default the uniform law.

    Densities are with respect to surface area, finite and continuous at the poles too. An untrained flow is the
    identity. Up to dimension 8, `encode` and `decode` compute in float64: where the density is low, the way back
    multiplies what was rounded.

    Raises:
        ValueError: A number is too small.

    >>> import torch
    >>> flow = SphereFlow(2)
    >>> bool((flow.log_prob(torch.eye(3)) + 2.531).abs().max() < 1e-3)
    True
    >>> flow.sample((5,)).shape
    torch.Size([5, 3])

    Reference: D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428), section 2.2.
    """

    def __init__(
        self,
        dim: int,
        *,
        transforms: int = 3,
        bins: int = 8,
        hidden: int = 48,
        context_dim: int = 0,
        base: Any = None,
    ) -> None:
        space = Hypersphere(check_integer("dim", dim))
        check_integer("bins", bins, least=2)
        options: dict[str, Any] = {
            "hidden": check_integer("hidden", hidden),
            "context_dim": check_integer("context_dim", context_dim, least=0),
        }
        layers: list[Layer] = []
        # Between two rounds other coordinates come first; a quarter changes sides, so that after two each has met each.
        shift = 1 if dim <= _RECURSIVE else (dim + 1) // 4
        for i in range(check_integer("transforms", transforms)):
            layers.append(Rotation(dim + 1, shift if i else -shift * (transforms - 1)))  # in sum none
            layers += _recursive(dim + 1, bins, options) if dim <= _RECURSIVE else _blocks(dim + 1, bins, options)
        super().__init__(space, base, layers, context_dim)

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        s, ladj = super().encode_and_ladj(self.manifold.projection(x), context)
        return self.manifold.projection(s), ladj  # many layers' rounding

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().encode(*self._finer(x, context)).to(x.dtype)

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        fine, context = self._finer(s, context)
        return self.manifold.projection(super().decode(self.manifold.projection(fine), context)).to(s.dtype)

    def _finer(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """In float64 where splines move the points."""
        if self.manifold.dim > _RECURSIVE:
            return x, context
        return x.double(), None if context is None else context.double()


def _recursive(size: int, bins: int, options: dict[str, Any]) -> Iterator[Layer]:
    for level in range(size - 1, 1, -1):
        yield AxisLayer(size, level, bins=bins, **options)
    yield TurnLayer(size, bins=bins, **options)


def _blocks(size: int, bins: int, options: dict[str, Any]) -> Iterator[Layer]:
    yield SphereMap(size, **options)
    yield SplitLayer(size, bins=bins, **options)
    yield BlockCoupling(size, first=True, **options)
    yield BlockCoupling(size, first=False, **options)
