"""One-pass flows of vectors of R^d and, through their log-ratios, of compositions."""

from typing import Any

import torch
from torch import Tensor, nn

from ...charts import IsometricLogRatio
from ...checks import check_integer
from ...manifolds import Euclidean, Simplex, is_eager
from .coupling import Coupling, alternating_masks
from .layers import Layer, LayeredFlow, back_through, through
from .networks import Conditioner
from .rational_quadratic import RationalQuadratic

__all__ = ["EuclideanFlow", "SimplexFlow"]

_REACH = 5.0
"""Splines bend the numbers from -5 to 5 and leave those beyond as they are."""
_LOG_BOUND = 3.0


class VectorCoupling(Coupling):
    """Moves some coordinates, each by a spline and then an affine map that depend on those that stay.

    Args:
        moves: A mask `(d,)` of the coordinates that move.
        bins: Bins of each spline.
        hidden: Width of the network.
        context_dim: Size of the context.
    """

    def __init__(self, moves: Tensor, *, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__(moves)
        self.bins = bins
        self.net = Conditioner(len(self.kept), len(self.moved) * (3 * bins + 1), hidden, context_dim)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moved, kept = self.split(x)
        spline, log_scale, shift = self._map(kept, context)
        inside = moved.abs() < _REACH
        share = torch.where(inside, moved, 0) / (2 * _REACH) + 0.5
        to, log_slope = spline(share)
        bent = torch.where(inside, (to - 0.5) * (2 * _REACH), moved)
        ladj = torch.where(inside, log_slope, 0) + log_scale
        return self.join(bent * log_scale.exp() + shift, kept), ladj.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        moved, kept = self.split(y)
        spline, log_scale, shift = self._map(kept, context)
        bent = (moved - shift) * (-log_scale).exp()
        inside = bent.abs() < _REACH
        share = spline.inverse(torch.where(inside, bent, 0) / (2 * _REACH) + 0.5)
        return self.join(torch.where(inside, (share - 0.5) * (2 * _REACH), bent), kept)

    def _map(self, kept: Tensor, context: Tensor | None) -> tuple[RationalQuadratic, Tensor, Tensor]:
        raw = self.net(kept, context).unflatten(-1, (len(self.moved), -1))
        shapes, slopes, affine = raw.split([2 * self.bins, self.bins - 1, 2], -1)
        ends = torch.zeros_like(affine[..., :1])  # slope 1 at both ends, so that the tails go on smoothly
        spline = RationalQuadratic(torch.cat([shapes, ends, slopes, ends], -1))
        log_scale, shift = affine.unbind(-1)
        return spline, _LOG_BOUND * torch.tanh(log_scale / _LOG_BOUND), shift


def _couplings(dim: int, transforms: int, **options: Any) -> list[Layer]:
    masks = alternating_masks(dim)
    return [VectorCoupling(masks[i % len(masks)], **options) for i in range(transforms)]


class EuclideanFlow(LayeredFlow):
    """A flow of vectors of R^d, by coupled splines with affine maps (neural spline flow).

    Args:
        dim: d, at least 1.
        transforms: Number of layers; two of them move every coordinate once.
        bins: Bins of each spline, at least 2; they bend the numbers from -5 to 5, so scale data to that size.
        hidden: Width of the two hidden layers of each network.
        context_dim: Size of the vectors to condition on; 0 for none.
        base: A distribution on `Euclidean(dim)`; the standard normal by default.

    >>> EuclideanFlow(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<AddBackward0>)

    Reference: C. Durkan et al., Neural spline flows, NeurIPS 2019 (arXiv 1906.04032).
    """

    def __init__(
        self,
        dim: int,
        *,
        transforms: int = 6,
        bins: int = 8,
        hidden: int = 64,
        context_dim: int = 0,
        base: Any = None,
    ) -> None:
        space = Euclidean(check_integer("dim", dim))
        options = _checked(bins, hidden, context_dim)
        layers = _couplings(dim, check_integer("transforms", transforms), **options)
        super().__init__(space, base, layers, context_dim)


def _checked(bins: int, hidden: int, context_dim: int) -> dict[str, int]:
    return {
        "bins": check_integer("bins", bins, least=2),
        "hidden": check_integer("hidden", hidden),
        "context_dim": check_integer("context_dim", context_dim, least=0),
    }


class LogRatios(Layer):
    """Layers of R^d, applied to the isometric log-ratios of compositions.

    Args:
        dim: d, one less than the number of parts.
        layers: Bijections of R^d.
    """

    def __init__(self, dim: int, layers: list[Layer]) -> None:
        super().__init__()
        self.chart = IsometricLogRatio(dim)
        self.layers = nn.ModuleList(layers)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first = self.chart.inv(x)
        z, ladj = through(self.layers, first, context)
        y = self.chart(z)
        return y, ladj + self.chart.log_abs_det_jacobian(z, y) - self.chart.log_abs_det_jacobian(first, x)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        return self.chart(back_through(self.layers, self.chart.inv(y), context))


class SimplexFlow(LayeredFlow):
    """A flow of compositions, by splines of their isometric log-ratios.

    Args:
        dim: d; compositions `(*batch, d + 1)` have positive parts of sum 1.
        transforms: Number of layers; two of them move every log-ratio once.
        bins: Bins of each spline, at least 2.
        hidden: Width of the two hidden layers of each network.
        context_dim: Size of the vectors to condition on; 0 for none.
        base: A distribution on `Simplex(dim)`; by default the uniform one, Dirichlet(1, ..., 1).

    Densities are with respect to Lebesgue measure on the first d parts. Compositions with a part of 0 have no
    log-ratios.

    Raises:
        ValueError: A number is too small; from `log_prob` and `encode`, a part of 0.

    >>> bool((SimplexFlow(2).log_prob(torch.tensor([[0.2, 0.3, 0.5]])).exp() - 2).abs() < 1e-4)
    True

    Reference: J. Egozcue et al., Isometric logratio transformations for compositional data analysis, 2003, for the
    log-ratios.
    """

    def __init__(
        self,
        dim: int,
        *,
        transforms: int = 6,
        bins: int = 8,
        hidden: int = 64,
        context_dim: int = 0,
        base: Any = None,
    ) -> None:
        space = Simplex(check_integer("dim", dim))
        options = _checked(bins, hidden, context_dim)
        layers = [LogRatios(dim, _couplings(dim, check_integer("transforms", transforms), **options))]
        super().__init__(space, base, layers, context_dim)

    def check(self, x: Tensor, context: Tensor | None) -> None:
        """As of every flow, and that no part is 0."""
        super().check(x, context)
        if is_eager() and bool((x <= 0).any()):
            row = int((x.detach() <= 0).any(-1).reshape(-1).nonzero()[0, 0])
            raise ValueError(
                f"x: expected positive parts, got {x.detach().reshape(-1, x.shape[-1])[row].tolist()} at row {row}; "
                "manifoldflow.manifolds.replace_zeros replaces zeros"
            )
