r"""The energy, length and realism of discrete curves under a conformal pullback metric.

Under :math:`A_z = c(z)^2 dG^T dG` a curve :math:`\gamma` has the length :math:`\int c |(G \gamma)'| dt` and the energy
:math:`\frac12 \int c^2 |(G \gamma)'|^2 dt`. With k segments of decoded length :math:`|\Delta_i|` they are
:math:`\sum_i c_i |\Delta_i|` and :math:`\frac{k}{2} \sum_i c_i^2 |\Delta_i|^2`; length^2 <= 2 energy, with equality at
constant speed.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..._geomstats import Manifold
from ...manifolds import is_eager
from .conformal import Conformal, realism_cost
from .domain import domain_of

__all__ = ["CurveEnergy", "Segments", "isometric", "realism_energy"]


@dataclass(frozen=True)
class Segments:
    """What the segments of discrete curves cost.

    Attributes:
        cost: The squared conformal factor of each segment, `(*batch, k)`.
        squared: Squared decoded lengths, `(*batch, k)`.
    """

    cost: Tensor
    squared: Tensor

    def __repr__(self) -> str:
        return f"Segments({tuple(self.cost.shape)})"

    @property
    def energy(self) -> Tensor:
        """Energies `(*batch,)`."""
        return 0.5 * self.cost.shape[-1] * (self.cost * self.squared).sum(-1)

    @property
    def lengths(self) -> Tensor:
        """Riemannian lengths of the segments, `(*batch, k)`; a segment of length zero has a zero gradient."""
        product = self.cost * self.squared
        return torch.where(product > 0, product.clamp(min=torch.finfo(product.dtype).tiny).sqrt(), product)

    @property
    def length(self) -> Tensor:
        """Lengths `(*batch,)`."""
        return self.lengths.sum(-1)


class CurveEnergy:
    r"""The energy of discrete curves: nodes `(*batch, k + 1, n)` to energies `(*batch,)`.

    Args:
        conformal: The conformal factor, see `conformal`; None for 1 (pure pullback).
        decoder: Latents `(rows, n)` to data `(rows, ...)`, differentiable; None for the identity. A last linear layer
            is measured in its smaller input, exactly (see `decoding.isometric`).
        space: The space of the latents; None for Euclidean space. Without a decoder its metric measures the segments
            (chords for spheres, whose error is of the order of the discretisation's).
        rule: Which value a segment takes: "midpoint" that of its middle, "ends" the mean of its two ends (equation 19
            of arXiv 1904.03445, with the decoder that its print lacks).
        pieces: In how many pieces the rule looks at a segment; 1 in the papers. With one, a long segment can jump over
            a narrow barrier that its ends (or middle) do not see, and minimal energies contain such jumps once segments
            are as long as barriers are wide; more pieces, at the cost of as many values, close that gap.

    Reference: arXiv 1904.03445 ("ends"); Struski et al., TNNLS 2023 ("midpoint").
    """

    def __init__(
        self,
        conformal: Conformal | None = None,
        decoder: Callable[[Tensor], Tensor] | None = None,
        *,
        space: Manifold | None = None,
        rule: Literal["midpoint", "ends"] = "midpoint",
        pieces: int = 1,
    ) -> None:
        if pieces < 1:
            raise ValueError(f"pieces: expected at least 1, got {pieces}")
        if rule not in ("midpoint", "ends"):
            raise ValueError(f"rule: expected 'midpoint' or 'ends', got {rule!r}")
        self.conformal, self.space, self.rule, self.pieces = conformal, space, rule, pieces
        self.decoder = None if decoder is None else isometric(decoder)
        self.domain = domain_of(space)

    def smoothed(self, width: float) -> "CurveEnergy":
        """The energy with the kinks of its conformal factor rounded over a width; itself where it has none."""
        if self.conformal is None or self.conformal.smoothed is None:
            return self
        smooth = copy(self)
        smooth.conformal = self.conformal.smoothed(width)
        return smooth

    def __repr__(self) -> str:
        decoder = None if self.decoder is None else type(self.decoder).__name__
        return (
            f"CurveEnergy({self.conformal!r}, decoder={decoder}, space={self.space!r}, rule={self.rule!r}, "
            f"pieces={self.pieces})"
        )

    def segments(self, nodes: Tensor) -> Segments:
        """Costs and squared decoded lengths of the segments between nodes `(*batch, k + 1, n)` of the space."""
        return self.inner_segments(self.domain.enter(nodes))

    def inner_segments(self, nodes: Tensor) -> Segments:
        """The same for nodes in the coordinates of `domain`; NaN for a curve with a node that is not finite."""
        broken = ~nodes.isfinite().all(-1).all(-1, keepdim=True)
        if is_eager() and bool(broken.any()):  # a decoder may refuse a whole batch for one such row
            found = self.inner_segments(torch.where(broken[..., None], nodes[..., :1, :], nodes))
            return Segments(found.cost, torch.where(broken, torch.nan, found.squared))
        squared = self._squared(nodes)
        if self.conformal is None:
            return Segments(torch.ones_like(squared), squared)
        values = self._values(self._seen(nodes))
        if self.rule == "ends":
            values = 0.5 * (values[..., :-1] + values[..., 1:])
        cost = self.conformal.cost(values).square()
        if self.pieces > 1:
            cost = cost.unflatten(-1, (-1, self.pieces)).mean(-1)
        return Segments(cost, squared)

    def _seen(self, nodes: Tensor) -> Tensor:
        """The points whose values count: middles of all pieces, or their ends."""
        if self.pieces == 1 and self.rule == "ends":
            return nodes
        first, last = nodes[..., :-1, None, :], nodes[..., 1:, None, :]
        share = torch.arange(self.pieces, dtype=nodes.dtype, device=nodes.device)[:, None]
        if self.rule == "midpoint":
            return self.domain.between(first, last, (share + 0.5) / self.pieces).flatten(-3, -2)
        inner = self.domain.between(first, last, share / self.pieces).flatten(-3, -2)
        return torch.cat([inner, nodes[..., -1:, :]], -2)

    def _squared(self, nodes: Tensor) -> Tensor:
        if self.decoder is None:
            return self.domain.squared(nodes[..., :-1, :], nodes[..., 1:, :])
        points = self.domain.leave(nodes)
        decoded = self.decoder(points.reshape(-1, points.shape[-1]))
        decoded = decoded.reshape(*points.shape[:-1], -1)
        return (decoded[..., 1:, :] - decoded[..., :-1, :]).square().sum(-1)

    def _values(self, nodes: Tensor) -> Tensor:
        assert self.conformal is not None
        points = self.domain.leave(nodes)
        return self.conformal.value(points.reshape(-1, points.shape[-1])).reshape(points.shape[:-1])

    def __call__(self, nodes: Tensor) -> Tensor:
        """Energies `(*batch,)` of nodes `(*batch, k + 1, n)`."""
        return self.segments(nodes).energy

    def length(self, nodes: Tensor) -> Tensor:
        """Riemannian lengths `(*batch,)`."""
        return self.segments(nodes).length

    def realism(self, nodes: Tensor) -> Tensor:
        r""":math:`e^{-length}`, `(*batch,)`: the realism index of the curve under `realism_energy` (theorem 1)."""
        return torch.exp(-self.length(nodes))


def realism_energy(
    index: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor] | None = None,
    *,
    space: Manifold | None = None,
    rule: Literal["midpoint", "ends"] = "midpoint",
    pieces: int = 1,
) -> CurveEnergy:
    """The energy of realism: `CurveEnergy` with the cost -log of an index; see there and `conformal.realism_cost`."""
    return CurveEnergy(realism_cost(index), decoder, space=space, rule=rule, pieces=pieces)


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
