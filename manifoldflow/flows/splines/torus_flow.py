"""One-pass flows of angles: on the circle and on tori."""

from typing import Any

import torch
from torch import Tensor

from ...checks import check_choice, check_integer
from ...manifolds import Torus
from ...manifolds.torus import wrap
from .circle_maps import CIRCLE_MAPS
from .coupling import alternating_masks
from .layers import Layer, LayeredFlow
from .torus_layers import AutoregressiveLayer, CouplingLayer

__all__ = ["CircleFlow", "TorusFlow"]


class TorusFlow(LayeredFlow):
    """A flow of angles on the torus, by splines or Moebius mixtures of each angle that depend on the other angles.

    Args:
        dim: Number of angles d, at least 1. Data are `(*batch, d)`, in radians; any turn will do.
        transforms: Number of layers. Two coupling layers move every angle once, an autoregressive one does alone.
        bins: Bins of each spline, at least 2, or centres of each Moebius mixture.
        hidden: Width of the two hidden layers of each network.
        kind: Of the maps of the circle: "spline" (rational-quadratic, with a learned shift) or "moebius".
        passes: "coupling" moves half of the angles at a time, and is as fast one way as the other; "autoregressive"
            moves each angle given those before it, which samples d times more slowly than it evaluates densities.
        context_dim: Size of the vectors to condition on; 0 for none.
        base: A distribution on `Torus(d)`; by default the uniform law.

    Densities are with respect to d angle. Points of the base's space, and draws, are in [-pi, pi]. Networks read sines
    and cosines, so densities are continuous on the torus. An untrained flow is the identity.

    Raises:
        ValueError: A number is too small, or `kind` or `passes` is not one of those listed.

    >>> flow = TorusFlow(2)
    >>> angles = torch.tensor([[0.5, -3.0]])
    >>> flow.log_prob(angles)
    tensor([-3.6758], grad_fn=<AddBackward0>)
    >>> flow.sample((5,)).shape
    torch.Size([5, 2])

    Reference: D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428).
    """

    def __init__(
        self,
        dim: int,
        *,
        transforms: int = 8,
        bins: int = 16,
        hidden: int = 64,
        kind: str = "spline",
        passes: str = "coupling",
        context_dim: int = 0,
        base: Any = None,
    ) -> None:
        space = Torus(check_integer("dim", dim))
        check_integer("transforms", transforms)
        check_integer("hidden", hidden)
        options: dict[str, Any] = {
            "kind": check_choice("kind", kind, CIRCLE_MAPS),
            "bins": check_integer("bins", bins, least=2 if kind == "spline" else 1),
            "hidden": hidden,
            "context_dim": check_integer("context_dim", context_dim, least=0),
        }
        layers: list[Layer] = []
        if check_choice("passes", passes, ("coupling", "autoregressive")) == "coupling" or dim == 1:
            masks = alternating_masks(dim)
            layers += [CouplingLayer(masks[i % len(masks)], **options) for i in range(transforms)]
        else:
            options["hidden"] = check_integer("hidden", hidden, least=dim)
            ways = (torch.arange(dim), torch.arange(dim).flip(0))
            layers += [AutoregressiveLayer(ways[i % 2], **options) for i in range(transforms)]
        super().__init__(space, base, layers, context_dim)

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return super().encode_and_ladj(wrap(x), context)

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        return super().decode(wrap(s), context)


class CircleFlow(TorusFlow):
    """A flow of angles on the circle: `TorusFlow(1)`, whose maps depend on the context only.

    Args:
        options: As of `TorusFlow`.

    >>> flow = CircleFlow(transforms=2, kind="moebius")
    >>> flow.log_prob(torch.tensor([[0.5]]))
    tensor([-1.8379], grad_fn=<AddBackward0>)
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(1, **options)
