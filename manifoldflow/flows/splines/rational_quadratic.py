r"""Monotone rational-quadratic splines of the unit interval, one for each element of a batch, with their inverse.

In a bin of width w and height h, mean slope s = h / w and end slopes a and b, the spline maps the share xi of the way
from the end of slope a to

.. math:: p = \frac{\xi (s \xi + a (1 - \xi))}{s + (a + b - 2 s) \xi (1 - \xi)}

of the height. The formula reads the same from either end, so values in the last bin are counted from 1: near both ends
of the interval, x and 1 - x keep their full relative accuracy, which a sphere's poles need.

Reference: C. Durkan et al., Neural spline flows, NeurIPS 2019 (arXiv 1906.04032), equations 4 to 8.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RationalQuadratic"]

_FLOOR = 1e-2  # the share of the interval that is spread evenly over the bins, so that none vanishes
_STEEPEST = math.log(1e3)  # the largest log slope at a knot


@dataclass(frozen=True)
class _Bin:
    """The bin of each element, read from its nearer end if it is the last one: all tensors `(*batch,)`."""

    first: Tensor
    last: Tensor
    start: Tensor
    width: Tensor
    low: Tensor
    height: Tensor
    near: Tensor
    far: Tensor

    @property
    def mean(self) -> Tensor:
        return self.height / self.width


class RationalQuadratic:
    """Monotone splines of [0, 1] onto itself, one for each element of a batch.

    Args:
        raw: Real numbers `(*batch, 3 bins + 1)`, or `(*batch, 3 bins)` if circular: for the widths, the heights, and
            the slopes at the knots. Zeros give the identity.
        circular: Whether both ends have the same slope, so that the spline is C1 on the circle.

    Widths and heights are softmaxes with a floor, slopes lie between 1e-3 and 1e3. Values and inverses are exact to
    rounding; gradients are finite everywhere, at knots and ends too.

    >>> spline = RationalQuadratic(torch.zeros(5, 3 * 4), circular=True)
    >>> spline(torch.tensor([0.0, 0.1, 0.5, 0.7, 1.0]))[0]
    tensor([0.0000, 0.1000, 0.5000, 0.7000, 1.0000])
    """

    def __init__(self, raw: Tensor, *, circular: bool = False) -> None:
        self.circular = circular
        self.bins = raw.shape[-1] // 3
        pair = raw[..., : 2 * self.bins].unflatten(-1, (2, self.bins))
        self.shares = torch.softmax(pair, -1) * (1 - _FLOOR) + _FLOOR / self.bins
        self.starts = self.shares.cumsum(-1) - self.shares
        self.slopes = raw[..., 2 * self.bins :]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values and log slopes at x in [0, 1], both `(*batch,)`."""
        place = self._find(x, 0)
        share = torch.where(place.last, 1 - x, x - place.start) / place.width
        chord, log_slope = _evaluate(place, share)
        rise = share * place.width * chord
        return torch.where(place.last, 1 - rise, place.low + rise), log_slope

    def inverse(self, y: Tensor) -> Tensor:
        """The x in [0, 1] whose values are y."""
        place = self._find(y, 1)
        share = _solve(place, torch.where(place.last, 1 - y, y - place.low) / place.height)
        run = share * place.width
        return torch.where(place.last, 1 - run, place.start + run)

    def from_ends(self, x: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For x and rest = 1 - x, each known to full relative accuracy: y, 1 - y, log y(1-y)/x(1-x), the log slope."""
        place = self._find(x, 0)
        share = torch.where(place.last, rest, x - place.start) / place.width
        chord, log_slope = _evaluate(place, share)
        rise = share * place.width * chord
        y = torch.where(place.last, 1 - rise, place.low + rise)
        remainder = torch.where(place.last, rise, 1 - y)
        return y, remainder, _log_ratio(place, chord, (x, rest), (y, remainder)), log_slope

    def inverse_from_ends(self, y: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For y and rest = 1 - y: x, 1 - x, and log x(1-x)/y(1-y)."""
        place = self._find(y, 1)
        share = _solve(place, torch.where(place.last, rest, y - place.low) / place.height)
        run = share * place.width
        x = torch.where(place.last, 1 - run, place.start + run)
        remainder = torch.where(place.last, run, 1 - x)
        chord, _ = _evaluate(place, share)
        return x, remainder, -_log_ratio(place, chord, (x, remainder), (y, rest))

    def _find(self, value: Tensor, row: int) -> _Bin:
        """The bins that values lie in: by the widths (row 0) or the heights (row 1)."""
        starts = self.starts[..., row, 1:].detach()
        k = (value.detach()[..., None] >= starts).sum(-1, keepdim=True)
        batch = torch.broadcast_shapes(value.shape, self.starts.shape[:-2])
        k = k.expand(*batch, 1)
        both = k[..., None, :].expand(*batch, 2, 1)
        start = self.starts.expand(*batch, 2, self.bins).gather(-1, both).squeeze(-1)
        share = self.shares.expand(*batch, 2, self.bins).gather(-1, both).squeeze(-1)
        ends = torch.cat([k, (k + 1) % self.bins if self.circular else k + 1], -1)
        last = k == self.bins - 1
        ends = torch.where(last, ends.flip(-1), ends)
        raw = self.slopes.expand(*batch, self.slopes.shape[-1]).gather(-1, ends)
        slope = (raw / (1 + raw.abs() / _STEEPEST)).exp()
        near, far = slope.unbind(-1)
        return _Bin(
            (k == 0)[..., 0], last[..., 0], start[..., 0], share[..., 0], start[..., 1], share[..., 1], near, far
        )


def _evaluate(place: _Bin, share: Tensor) -> tuple[Tensor, Tensor]:
    """The slope of the chord from the near end to a share of the width, and the log slope there."""
    share = share.clamp(0, 1)
    left, mean = 1 - share, place.mean
    below = mean + (place.near + place.far - 2 * mean) * share * left
    chord = mean * (mean * share + place.near * left) / below
    above = 2 * mean * share * left + place.near * left * left + place.far * share * share
    return chord, 2 * (mean / below).log() + above.log()


def _solve(place: _Bin, p: Tensor) -> Tensor:
    """The share of the width at a share p of the height, by the root that does not cancel."""
    p, mean = p.clamp(0, 1), place.mean
    bend = p * (place.near + place.far - 2 * mean)
    half = place.near - bend
    root = (half * half + 4 * (mean - place.near + bend) * mean * p).clamp_min(torch.finfo(p.dtype).tiny).sqrt()
    return (2 * mean * p / (half + root)).clamp(0, 1)


def _log_ratio(place: _Bin, chord: Tensor, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """log y(1-y) / x(1-x), where the end bins take the chord instead of a quotient of two small numbers."""
    apart = []
    for end, a, b in zip((place.first, place.last), x, y):
        apart.append(torch.where(end, chord, torch.where(end, 1, b) / torch.where(end, 1, a)))
    return (apart[0] * apart[1]).log()
