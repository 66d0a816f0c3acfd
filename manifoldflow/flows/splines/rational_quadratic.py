r"""Monotone rational-quadratic splines of the unit interval, one for each element of a batch, with their inverse.

In a bin of width w and height h, mean slope s = h / w and end slopes a and b, the spline maps the share xi of the way
from the end of slope a to

.. math:: p = \frac{\xi (s \xi + a (1 - \xi))}{s + (a + b - 2 s) \xi (1 - \xi)}

of the height. The formula reads the same from either end, so values in the last bin are counted from 1: near both ends
of the interval, x and 1 - x keep their full relative accuracy, which a sphere's poles need.

Reference: C. Durkan et al., Neural spline flows, NeurIPS 2019 (arXiv 1906.04032), equations 4 to 8.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["RationalQuadratic"]

_FLOOR = 1e-2  # the share of the interval that is spread evenly over the bins, so that none vanishes
_STEEPEST = math.log(1e3)  # the largest log slope at a knot


def _cumulated(raw: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """The softmaxes of the widths and of the heights, `(*batch, 2, bins)`, and their cumulated sums."""
    shares = torch.softmax(raw[..., : 2 * bins].unflatten(-1, (2, bins)), -1)
    return shares, shares.cumsum(-1)


def _ramp(bins: int, like: Tensor) -> Tensor:
    """The share of the floor that lies before each bin."""
    return torch.arange(bins, dtype=like.dtype, device=like.device) * (_FLOOR / bins)


class _Bins(torch.autograd.Function):
    """What is known of the bins that values lie in: start, low, width, height and the slopes at both ends.

    The same in plain operations would cost several passes over all bins, back and forth; this is the most expensive
    part of a spline. The derivative is made of differentiable operations.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(raw: Tensor, value: Tensor, row: int, bins: int) -> tuple[Tensor, Tensor, Tensor]:
        """From parameters `(*batch, m)` and values `(*batch,)`, x (row 0) or y (row 1), to `(*batch, 6)`, k, shares."""
        shares, ends = _cumulated(raw, bins)
        ramp = _ramp(bins, raw)
        inner = ends[..., row, :-1] * (1 - _FLOOR) + ramp[1:]
        k = (value[..., None] >= inner).sum(-1)
        both = k[..., None, None].expand(*k.shape, 2, 1)
        share, end = shares.gather(-1, both)[..., 0], ends.gather(-1, both)[..., 0]
        start = torch.where(k[..., None] > 0, end - share, 0) * (1 - _FLOOR) + k[..., None] * (_FLOOR / bins)
        log_slope = _bend(raw[..., 2 * bins :].gather(-1, _sides(k, bins, raw.shape[-1] - 2 * bins)))
        return torch.cat([start, share * (1 - _FLOOR) + _FLOOR / bins, log_slope.exp()], -1), k, shares

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        raw, _, _, ctx.bins = inputs
        ctx.save_for_backward(raw, *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, None, None, None]:
        raw, k, shares = ctx.saved_tensors
        bins = ctx.bins
        if torch.is_grad_enabled():  # the derivative is to be differentiated: the shares saved do not know their origin
            shares = torch.softmax(raw[..., : 2 * bins].unflatten(-1, (2, bins)), -1)
        before, here, slope = (grad[..., i : i + 2] for i in (0, 2, 4))
        place = torch.arange(bins, device=raw.device)
        k_all = k[..., None, None]
        each = torch.where(place < k_all, before[..., None], torch.where(place == k_all, here[..., None], 0)) * shares
        each = (1 - _FLOOR) * (each - each.sum(-1, keepdim=True) * shares)
        knots = raw[..., 2 * bins :]
        sides = _sides(k, bins, knots.shape[-1])
        at = knots.gather(-1, sides)
        outer = slope * _bend(at).exp() / (1 + at.abs() / _STEEPEST).square()
        return (
            torch.cat([each.flatten(-2), torch.zeros_like(knots).scatter_add(-1, sides, outer)], -1),
            None,
            None,
            None,
        )


def _bend(raw: Tensor) -> Tensor:
    """Log slopes of real numbers, less than `_STEEPEST` in size."""
    return raw / (1 + raw.abs() / _STEEPEST)


def _sides(k: Tensor, bins: int, knots: int) -> Tensor:
    """The knots at the near and far ends of bins k, `(*batch, 2)`; the last knot of a circular spline is its first."""
    last = (k == bins - 1).to(k.dtype)
    return torch.stack([k + last, k + 1 - last], -1) % knots


class _Bin(NamedTuple):
    """The bin of each element, read from its nearer end if it is the last one: all tensors `(*batch,)`."""

    first: Tensor
    last: Tensor
    start: Tensor
    low: Tensor
    width: Tensor
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
        self.raw = raw

    @property
    def knots(self) -> Tensor:
        """The inner knots of x and of y, `(*batch, 2, bins - 1)`."""
        return _cumulated(self.raw, self.bins)[1][..., :-1] * (1 - _FLOOR) + _ramp(self.bins, self.raw)[1:]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values and log slopes at x in [0, 1], both `(*batch,)`."""
        place = self._find(x, 0)
        rise, log_slope = _Rise.apply(torch.where(place.last, 1 - x, x - place.start), *place[4:])
        return torch.where(place.last, 1 - rise, place.low + rise), log_slope

    def inverse(self, y: Tensor) -> Tensor:
        """The x in [0, 1] whose values are y."""
        place = self._find(y, 1)
        run = _run(place, torch.where(place.last, 1 - y, y - place.low))
        return torch.where(place.last, 1 - run, place.start + run)

    def from_ends(self, x: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For x and rest = 1 - x, each known to full relative accuracy: y, 1 - y, log y(1-y)/x(1-x), the log slope."""
        place = self._find(x, 0)
        run = torch.where(place.last, rest, x - place.start)
        rise, log_slope = _Rise.apply(run, *place[4:])
        y = torch.where(place.last, 1 - rise, place.low + rise)
        remainder = torch.where(place.last, rise, 1 - y)
        return y, remainder, _log_ratio(place, run, (x, rest), (y, remainder)), log_slope

    def inverse_from_ends(self, y: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For y and rest = 1 - y: x, 1 - x, and log x(1-x)/y(1-y)."""
        place = self._find(y, 1)
        run = _run(place, torch.where(place.last, rest, y - place.low))
        x = torch.where(place.last, 1 - run, place.start + run)
        remainder = torch.where(place.last, run, 1 - x)
        return x, remainder, -_log_ratio(place, run, (x, remainder), (y, rest))

    def _find(self, value: Tensor, row: int) -> _Bin:
        """The bins that values lie in: by the widths (row 0) or the heights (row 1)."""
        raw = self.raw.expand(*value.shape, self.raw.shape[-1])
        known, k, _ = _Bins.apply(raw, value.detach(), row, self.bins)
        return _Bin(k == 0, k == self.bins - 1, *known.unbind(-1))


class _Rise(torch.autograd.Function):
    """How far a spline rises from the near end of a bin, and the log slope; derivatives in closed form."""

    generate_vmap_rule = True

    @staticmethod
    def forward(run: Tensor, width: Tensor, height: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        xi, left, mean, t, below = _terms(run, width, height, near, far)
        slope = 2 * mean * t + near * left * left + far * xi * xi
        return height * xi * (mean * xi + near * left) / below, (slope * (mean / below).square()).log()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, by_rise: Tensor, by_log: Tensor) -> tuple[Tensor, ...]:
        run, width, height, near, far = ctx.saved_tensors
        xi, left, mean, t, below = _terms(run, width, height, near, far)
        slope = 2 * mean * t + near * left * left + far * xi * xi
        share = xi * (mean * xi + near * left) / below
        by_share = by_rise * height / below
        log_below, log_slope = by_log * 2 / below, by_log / slope
        bend = (1 - 2 * xi) * (near + far - 2 * mean)
        by_xi = by_share * mean * slope / below + 2 * log_slope * (mean * (1 - 2 * xi) - near * left + far * xi)
        by_xi = by_xi - log_below * bend
        by_mean = by_share * (xi * xi - share * (1 - 2 * t)) + 2 * (by_log / mean + log_slope * t)
        by_mean = by_mean - log_below * (1 - 2 * t)
        by_near = (by_share * (1 - share) - log_below) * t + log_slope * left * left
        by_far = log_slope * xi * xi - (by_share * share + log_below) * t
        by_run, by_height = by_xi / width, by_mean / width
        return by_run, -by_run * xi - by_height * mean, by_rise * share + by_height, by_near, by_far


def _terms(run: Tensor, width: Tensor, height: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, ...]:
    xi, mean = (run / width).clamp(0, 1), height / width
    left = 1 - xi
    t = xi * left
    return xi, left, mean, t, mean + (near + far - 2 * mean) * t


def _chord(place: _Bin, run: Tensor) -> Tensor:
    """The slope of the chord from the near end, over a run."""
    xi, left, mean, _, below = _terms(run, *place[4:])
    return mean * (mean * xi + place.near * left) / below


def _run(place: _Bin, rise: Tensor) -> Tensor:
    """How far along x a spline rises so much from the near end, by the root that does not cancel."""
    p, mean = (rise / place.height).clamp(0, 1), place.mean
    bend = p * (place.near + place.far - 2 * mean)
    half = place.near - bend
    root = (half * half + 4 * (mean - place.near + bend) * mean * p).clamp_min(torch.finfo(p.dtype).tiny).sqrt()
    return (2 * mean * p / (half + root)).clamp(0, 1) * place.width


def _log_ratio(place: _Bin, run: Tensor, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """log y(1-y) / x(1-x), where the end bins take the chord instead of a quotient of two small numbers."""
    chord = _chord(place, run)
    low, high = (
        torch.where(end, chord, torch.where(end, 1, b) / torch.where(end, 1, a))
        for end, a, b in zip((place.first, place.last), x, y)
    )
    return (low * high).log()
