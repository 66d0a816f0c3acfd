r"""Density indices: the share of the model's samples whose log-density (or score) lies below that of a point.

The distribution function of the scores is a kernel or mixture estimate, tabulated once: afterwards an index
costs one look-up per point, whatever the size of the sample.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .index import Index

__all__ = ["DensityIndex", "density_index"]

_REACH = 8.0  # the table extends this many bandwidths beyond the sample; further out it is continued as a line
_MAX_KNOTS = 16_384
_MAX_CENTRES = 8_192
_CHUNK = 2**22


class DensityIndex(Index):
    r"""The index :math:`ri(z) = G(f(z))`, G the smoothed distribution function of a sample of scores f(X).

    The logit of G is tabulated and interpolated by monotone cubics with exact slopes, and continued linearly: G is
    strictly increasing and smooth in float32 and float64, also beyond the sample.

    Args:
        score: The score f, usually a log-density: points `(*batch, n)` to values `(*batch,)`.
        scores: Scores of a sample from the model, shape `(m,)`, at least 2 distinct values; see `density_index`.
        bandwidth: Standard deviation of the Gaussian kernel. None: Silverman's rule on a robust spread.
        method: "kernel", or "mixture" for a Gaussian mixture fitted to the scores.
        components: How many components a mixture has.

    Raises:
        ValueError: Too few or non-finite scores, a bandwidth that is not positive, an unknown method.

    Reference: arXiv 1904.03445.
    """

    start: Tensor
    spacing: Tensor
    coefficients: Tensor
    edges: Tensor

    def __init__(
        self,
        score: Callable[[Tensor], Tensor],
        scores: Tensor,
        *,
        bandwidth: float | None = None,
        method: Literal["kernel", "mixture"] = "kernel",
        components: int = 5,
    ) -> None:
        super().__init__()
        self.score = score
        scores = _checked(scores).double().cpu().sort().values
        if method == "kernel":
            centres, widths, weights = _kernel(scores, bandwidth)
        elif method == "mixture":
            centres, widths, weights = _mixture(scores, components)
        else:
            raise ValueError(f"method: expected 'kernel' or 'mixture', got {method!r}")
        for name, buffer in _table(centres, widths, weights).items():
            self.register_buffer(name, buffer)

    def logit(self, score: Tensor) -> Tensor:
        """The logit of G at scores of any shape: increasing, without saturation."""
        position = (score - self.start.to(score)) / self.spacing.to(score)
        last = len(self.coefficients)
        inside = position.clamp(0, last)
        cell = inside.detach().nan_to_num().floor().clamp(max=last - 1).long()
        u = inside - cell
        c = self.coefficients.to(score)[cell]
        value = c[..., 0] + u * (c[..., 1] + u * (c[..., 2] + u * c[..., 3]))
        outside = position - inside
        slope = torch.where(outside < 0, self.edges[0].to(score), self.edges[1].to(score))
        return value + slope * outside

    def log(self, z: Tensor) -> Tensor:
        """The log of the index; see `Index.log`."""
        return nn.functional.logsigmoid(self.logit(self.score(z)))

    def forward(self, z: Tensor) -> Tensor:
        """The index; see `Index.forward`."""
        return self.logit(self.score(z)).sigmoid()


def density_index(distribution: Any, *, samples: int = 10_000, chunk: int = 10_000, **options: Any) -> DensityIndex:
    """The density index of any distribution with `sample` and `log_prob`, from `samples` draws.

    Args:
        distribution: A torch or Pyro distribution, such as the bases of this library.
        samples: How many draws stand for the model.
        chunk: How many are held at a time.
        options: Passed to `DensityIndex`.

    Randomness is torch's: seed it with `pyro.set_rng_seed` or `torch.manual_seed`.
    """
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}; the paper uses thousands")
    with torch.no_grad():
        sizes = [min(chunk, samples - done) for done in range(0, samples, chunk)]
        scores = torch.cat([distribution.log_prob(distribution.sample((size,))) for size in sizes])
    return DensityIndex(distribution.log_prob, scores, **options)


def _checked(scores: Tensor) -> Tensor:
    scores = scores.detach()
    if scores.ndim != 1 or len(scores) < 2 or not bool(scores.isfinite().all()):
        raise ValueError(
            f"scores: expected at least 2 finite values of shape (m,), got shape {tuple(scores.shape)} with "
            f"{int((~scores.isfinite()).sum())} not finite; draw more samples, or check the log-density"
        )
    if bool(scores.max() == scores.min()):
        raise ValueError(
            f"scores: expected values that differ, got {scores[0].item():g} for every sample; a constant density "
            "(a uniform distribution) ranks no point above another, so it has no density index"
        )
    return scores


def _kernel(scores: Tensor, bandwidth: float | None) -> tuple[Tensor, Tensor, Tensor]:
    if bandwidth is None:
        quartiles = torch.quantile(_block_means(scores, 2**20), torch.tensor([0.25, 0.75], dtype=scores.dtype))
        spreads = [scores.std().item(), (quartiles[1] - quartiles[0]).item() / 1.349]
        spread = min(value for value in spreads if value > 0)
        bandwidth = 1.06 * spread * len(scores) ** -0.2
    if not bandwidth > 0:
        raise ValueError(f"bandwidth: expected a positive number, got {bandwidth}")
    centres = _block_means(scores, _MAX_CENTRES)
    return centres, torch.full_like(centres, bandwidth), torch.full_like(centres, 1 / len(centres))


def _block_means(ordered: Tensor, count: int) -> Tensor:
    """At most `count` equally likely values that stand for a sorted sample: the means of its blocks."""
    if len(ordered) <= count:
        return ordered
    ends = torch.linspace(0, len(ordered), count + 1, dtype=torch.float64).round().long()
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])[ends].diff()
    return sums / ends.diff()


def _mixture(scores: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    from sklearn.mixture import GaussianMixture

    fit = GaussianMixture(components, random_state=0).fit(scores.numpy()[:, None])
    means, variances, weights = (
        torch.from_numpy(v.reshape(-1)).double() for v in (fit.means_, fit.covariances_, fit.weights_)
    )
    return means, variances.sqrt(), weights / weights.sum()


def _table(centres: Tensor, widths: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Cubic coefficients of the logit of sum_i w_i Phi((l - c_i) / h_i) on equal cells, and its edge slopes."""
    low, high = (centres - _REACH * widths).min(), (centres + _REACH * widths).max()
    count = int(min(_MAX_KNOTS, max(64, math.ceil(4 * (high - low) / widths.min()))))
    knots = torch.linspace(0, 1, count, dtype=torch.float64) * (high - low) + low
    spacing = (high - low) / (count - 1)
    parts = []
    for some in knots.split(max(1, _CHUNK // len(centres))):
        u = (some[:, None] - centres) / widths
        density = (weights / widths * torch.exp(-0.5 * u * u)).sum(-1) / math.sqrt(2 * math.pi)
        parts.append(
            torch.stack(
                [
                    (weights * torch.special.ndtr(u)).sum(-1),
                    (weights * torch.special.ndtr(-u)).sum(-1),
                    density,
                ]
            )
        )
    below, above, density = torch.cat(parts, -1)
    logit = below.log() - above.log()
    slope = spacing * density * (1 / below + 1 / above)
    rise = logit.diff()
    # Slopes up to three times the rise keep a cubic monotone (Fritsch and Carlson); exact slopes rarely exceed it.
    bound = 3 * torch.minimum(torch.cat([rise[:1], rise]), torch.cat([rise, rise[-1:]]))
    slope = torch.minimum(slope, bound)
    left, right = slope[:-1], slope[1:]
    coefficients = torch.stack([logit[:-1], left, 3 * rise - 2 * left - right, left + right - 2 * rise], -1)
    return {
        "start": low,
        "spacing": spacing,
        "coefficients": coefficients,
        "edges": torch.stack([left[0], right[-1]]),
    }
