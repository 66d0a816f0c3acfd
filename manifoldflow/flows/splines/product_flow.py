"""One-pass flows of points of product spaces: each factor moves given the others."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, cast

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_integer
from ...manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from ..interface import Flow
from ..matching.fields import features
from .euclidean_flow import EuclideanFlow, SimplexFlow
from .layers import Layer, LayeredFlow
from .sphere_flow import SphereFlow
from .torus_flow import TorusFlow

__all__ = ["ProductFlow", "flow_on"]


@singledispatch
def flow_on(space: Manifold, **options: Any) -> Flow:
    """The one-pass flow of a space: `SphereFlow`, `TorusFlow`, `SimplexFlow`, `EuclideanFlow` or `ProductFlow`.

    Args:
        space: Where the data live.
        options: As the flow takes them.

    Raises:
        ValueError: A space without one; flow matching takes every space with exp and log.

    >>> flow_on(Torus(2)).space
    Torus(2)
    """
    raise ValueError(
        f"space: expected a Hypersphere, Torus, Simplex, Euclidean space or a Product of these, got {space!r}; "
        "FlowMatching takes any space with exp and log"
    )


@flow_on.register
def _(space: Hypersphere, **options: Any) -> Flow:
    return SphereFlow(space.dim, **options)


@flow_on.register
def _(space: Torus, **options: Any) -> Flow:
    return TorusFlow(space.dim, **options)


@flow_on.register
def _(space: Simplex, **options: Any) -> Flow:
    return SimplexFlow(space.dim, **options)


@flow_on.register
def _(space: Euclidean, **options: Any) -> Flow:
    return EuclideanFlow(space.dim, **options)


class FactorLayer(Layer):
    """Moves the points of one factor by a flow of that factor's space, given the points of the others.

    Args:
        space: The product.
        factor: Which factor moves.
        context_dim: Size of the context.
        options: Of the factor's flow.
    """

    def __init__(self, space: Product, factor: int, *, context_dim: int, **options: Any) -> None:
        super().__init__()
        self.space, self.factor = space, factor
        others = sum(
            features(f, torch.zeros(1, *f.shape)).shape[-1] for i, f in enumerate(space.factors) if i != factor
        )
        self.flow = flow_on(space.factors[factor], context_dim=others + context_dim, **options)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        parts = self.space.split(x)
        parts[self.factor], ladj = self.flow.encode_and_ladj(parts[self.factor], self._read(parts, context))
        return self.space.join(parts), ladj

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        parts = self.space.split(y)
        parts[self.factor] = self.flow.decode(parts[self.factor], self._read(parts, context))
        return self.space.join(parts)

    def _read(self, parts: list[Tensor], context: Tensor | None) -> Tensor | None:
        """Features of the other factors and the context; None where there are neither."""
        read = [features(f, x) for i, (f, x) in enumerate(zip(self.space.factors, parts)) if i != self.factor]
        read += [] if context is None else [context]
        return torch.cat(read, -1) if read else None


class ProductFlow(LayeredFlow):
    """A joint flow of points of a product: a direction with a phase, a place with a size, angles with a composition.

    Each round moves every factor once, by a flow of its own space that depends on the other factors.

    Args:
        space: A `Product` of spheres, tori, simplices and Euclidean spaces, or a list of such spaces. Data hold the
            factors' coordinates one after the other, `(*batch, n)`; `space.join` puts them together.
        transforms: Number of rounds.
        bins: Bins of each spline, at least 2.
        hidden: Width of the two hidden layers of each network.
        context_dim: Size of the vectors to condition on; 0 for none.
        base: A distribution on the product; by default the joint law of the factors' default ones.

    Densities are with respect to the product of the factors' reference measures.

    Raises:
        ValueError: A factor without a flow, or a number that is too small.

    >>> space = Product([Hypersphere(2), Torus(1)])
    >>> flow = ProductFlow(space)
    >>> flow.sample((5,)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        space: Product | Sequence[Manifold],
        *,
        transforms: int = 3,
        bins: int = 8,
        hidden: int = 64,
        context_dim: int = 0,
        base: Any = None,
    ) -> None:
        space = space if isinstance(space, Product) else Product(list(space))
        check_integer("context_dim", context_dim, least=0)
        layers: list[Layer] = []
        for _ in range(check_integer("transforms", transforms)):
            for factor, one in enumerate(space.factors):
                options = {"bins": bins, "hidden": hidden, "context_dim": context_dim, "transforms": _rounds(one)}
                layers.append(FactorLayer(space, factor, **options))
        super().__init__(space, base, layers, context_dim)

    def check(self, x: Tensor, context: Tensor | None) -> None:
        """As of every flow, and of each factor's."""
        super().check(x, context)
        for layer, part in zip(self.layers, self.manifold.split(x)):  # the first round has one layer a factor
            flow = cast(FactorLayer, layer).flow
            flow.check(part, part.new_zeros(*part.shape[:-1], flow.context_dim) if flow.context_dim else None)


def _rounds(space: Manifold) -> int:
    """Layers of a factor's flow in which each coordinate moves once."""
    return 1 if isinstance(space, Hypersphere) or space.dim == 1 else 2


@flow_on.register
def _(space: Product, **options: Any) -> Flow:
    return ProductFlow(space, **options)
