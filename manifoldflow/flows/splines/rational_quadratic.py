r"""Monotone rational-quadratic splines of the unit interval, one for each element of a batch, with their inverse.

In a bin of width w and height h, mean slope s = h / w and end slopes a and b, the spline maps the share xi of the way
from the end of slope a to

.. math:: p = \frac{\xi (s \xi + a (1 - \xi))}{s + (a + b - 2 s) \xi (1 - \xi)}

of the height. The formula reads the same from either end, so values in the last bin are counted from 1: near both ends
of the interval, x and 1 - x keep their full relative accuracy, which a sphere's poles need.

Reference: C. Durkan et al., Neural spline flows, NeurIPS 2019 (arXiv 1906.04032), equations 4 to 8.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["GENTLE", "WIDE", "Bounds", "RationalQuadratic"]


class Bounds(NamedTuple):
    """How far a spline may be from the identity.

    Attributes:
        floor: The share of the interval that is spread evenly over the bins, so that none vanishes.
        steepest: The largest log slope at a knot.
    """

    floor: float
    steepest: float


WIDE = Bounds(1e-2, math.log(1e3))
GENTLE = Bounds(0.2, math.log(10))
"""No bin is so flat that the way back would lose many digits; steep maps take several layers."""


def _cumulated(raw: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """The softmaxes of the widths and of the heights, `(*batch, 2, bins)`, and their cumulated sums."""
    shares = torch.softmax(raw[..., : 2 * bins].unflatten(-1, (2, bins)), -1)
    return shares, shares.cumsum(-1)


def _ramp(bins: int, floor: float, like: Tensor) -> Tensor:
    """The share of the floor that lies before each bin."""
    return torch.arange(bins, dtype=like.dtype, device=like.device) * (floor / bins)


class _Bins(torch.autograd.Function):
    """What is known of the bins that values lie in: start, low, width, height and the slopes at both ends.

    The same in plain operations would cost several passes over all bins, back and forth; this is the most expensive
    part of a spline. The derivative is made of differentiable operations.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(raw: Tensor, value: Tensor, row: int, bins: int, bounds: Bounds) -> tuple[Tensor, ...]:
        """From parameters `(*batch, m)` and values `(*batch,)`, x (row 0) or y (row 1): what is known `(*batch, 6)`, k
        `(*batch,)`, and for the derivative the shares and the knots at both ends.
        """
        shares, ends = _cumulated(raw, bins)
        floor, left = bounds.floor, 1 - bounds.floor
        inner = torch.add(_ramp(bins, floor, raw)[1:], ends[..., row, :-1], alpha=left)
        k = (value[..., None] >= inner).sum(-1)
        both = k[..., None, None].expand(*k.shape, 2, 1)
        share, end = shares.gather(-1, both)[..., 0], ends.gather(-1, both)[..., 0]
        start = torch.add((k.to(raw.dtype) * (floor / bins))[..., None], end - share, alpha=left)
        sides = _sides(k, bins, raw.shape[-1] - 2 * bins)
        slopes = _bend(raw[..., 2 * bins :].gather(-1, sides), bounds.steepest).exp()
        return torch.cat([start, share * left + floor / bins, slopes], -1), k, shares, sides

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        raw, _, _, ctx.bins, ctx.bounds = inputs
        ctx.save_for_backward(raw, *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        raw, k, shares, sides = ctx.saved_tensors
        bins, (floor, steepest) = ctx.bins, ctx.bounds
        if torch.is_grad_enabled():  # the derivative is to be differentiated: the shares saved do not know their origin
            shares = torch.softmax(raw[..., : 2 * bins].unflatten(-1, (2, bins)), -1)
        before, here, slope = (grad[..., i : i + 2] for i in (0, 2, 4))
        place = torch.arange(bins, device=raw.device)
        k_all = k[..., None, None]
        each = torch.where(place < k_all, before[..., None], torch.where(place == k_all, here[..., None], 0)) * shares
        each = (1 - floor) * torch.addcmul(each, each.sum(-1, keepdim=True), shares, value=-1)
        knots = raw[..., 2 * bins :]
        at = knots.gather(-1, sides)
        outer = slope * _bend(at, steepest).exp() / (1 + at.abs() / steepest).square()
        by_raw = torch.cat([each.flatten(-2), torch.zeros_like(knots).scatter_add(-1, sides, outer)], -1)
        return by_raw, None, None, None, None


def _bend(raw: Tensor, steepest: float) -> Tensor:
    """Log slopes of real numbers, less than `steepest` in size."""
    return raw / (1 + raw.abs() / steepest)


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
        bounds: Of bins and slopes; by default slopes lie between 1e-3 and 1e3.

    Widths and heights are softmaxes with a floor. Values and inverses are exact to rounding; gradients are finite
    everywhere, at knots and ends too.

    >>> spline = RationalQuadratic(torch.zeros(5, 3 * 4), circular=True)
    >>> spline(torch.tensor([0.0, 0.1, 0.5, 0.7, 1.0]))[0]
    tensor([0.0000, 0.1000, 0.5000, 0.7000, 1.0000])
    """

    def __init__(self, raw: Tensor, *, circular: bool = False, bounds: Bounds = WIDE) -> None:
        self.circular, self.bounds = circular, bounds
        self.bins = raw.shape[-1] // 3
        self.raw = raw

    @property
    def knots(self) -> Tensor:
        """The inner knots of x and of y, `(*batch, 2, bins - 1)`."""
        floor = self.bounds.floor
        return _cumulated(self.raw, self.bins)[1][..., :-1] * (1 - floor) + _ramp(self.bins, floor, self.raw)[1:]

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

    def from_ends(self, x: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """For x and rest = 1 - x, each known to full relative accuracy: y, 1 - y, y/x, (1-y)/(1-x), the log slope."""
        place = self._find(x, 0)
        run = torch.where(place.last, rest, x - place.start)
        rise, log_slope = _Rise.apply(run, *place[4:])
        y = torch.where(place.last, 1 - rise, place.low + rise)
        remainder = torch.where(place.last, rise, 1 - y)
        return y, remainder, *_ratios(place, run, (x, rest), (y, remainder)), log_slope

    def inverse_from_ends(self, y: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For y and rest = 1 - y: x, 1 - x, x/y, (1-x)/(1-y)."""
        place = self._find(y, 1)
        run = _run(place, torch.where(place.last, rest, y - place.low))
        x = torch.where(place.last, 1 - run, place.start + run)
        remainder = torch.where(place.last, run, 1 - x)
        low, high = _ratios(place, run, (x, remainder), (y, rest))
        return x, remainder, 1 / low, 1 / high

    def _find(self, value: Tensor, row: int) -> _Bin:
        """The bins that values lie in: by the widths (row 0) or the heights (row 1)."""
        raw = self.raw.expand(*value.shape, self.raw.shape[-1])
        known, k, *_ = _Bins.apply(raw, value.detach(), row, self.bins, self.bounds)
        return _Bin(k == 0, k == self.bins - 1, *known.unbind(-1))


class _Rise(torch.autograd.Function):
    """How far a spline rises from the near end of a bin, and the log slope; derivatives in closed form."""

    generate_vmap_rule = True

    @staticmethod
    def forward(run: Tensor, width: Tensor, height: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        terms = _terms(run, width, height, near, far)
        return height * terms.share, (terms.slope * (terms.mean / terms.below).square()).log()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, by_rise: Tensor, by_log: Tensor) -> tuple[Tensor, ...]:
        run, width, height, near, far = ctx.saved_tensors
        xi, left, mean, t, bend, below, slope, share = _terms(run, width, height, near, far)
        outer, inner = torch.rsub(xi, 1, alpha=2), torch.rsub(t, 1, alpha=2)
        by_share, by_slope, by_below = by_rise * height / below, by_log / slope, by_log / below
        tilt = torch.addcmul(torch.addcmul(mean * outer, near, left, value=-1), far, xi)
        by_xi = torch.addcmul(by_share * (mean / below) * slope, by_slope, tilt, value=2)
        by_xi = torch.addcmul(by_xi, by_below * outer, bend, value=-2)
        by_mean = by_share * torch.addcmul(xi * xi, share, inner, value=-1)
        by_mean = torch.addcmul(by_mean, by_slope, t, value=2)
        by_mean = torch.addcmul(torch.addcdiv(by_mean, by_log, mean, value=2), by_below, inner, value=-2)
        lower = torch.add(by_share * share, by_below, alpha=2)
        by_near = torch.addcmul((by_share - lower) * t, by_slope * left, left)
        by_far = torch.addcmul(by_slope * xi * xi, lower, t, value=-1)
        by_run, by_height = by_xi / width, by_mean / width
        by_width = -torch.addcmul(by_run * xi, by_height, mean)
        return by_run, by_width, torch.addcmul(by_height, by_rise, share), by_near, by_far


class _Terms(NamedTuple):
    """Of the formula above: xi, 1 - xi, s, xi (1 - xi), a + b - 2 s, the denominator, its slope's numerator, p."""

    xi: Tensor
    left: Tensor
    mean: Tensor
    t: Tensor
    bend: Tensor
    below: Tensor
    slope: Tensor
    share: Tensor


def _terms(run: Tensor, width: Tensor, height: Tensor, near: Tensor, far: Tensor) -> _Terms:
    xi, mean = (run / width).clamp(0, 1), height / width
    left = 1 - xi
    t, near_left = xi * left, near * left
    bend = torch.sub(near + far, mean, alpha=2)
    below = torch.addcmul(mean, bend, t)
    slope = torch.addcmul(torch.addcmul(near_left * left, far * xi, xi), mean, t, value=2)
    return _Terms(xi, left, mean, t, bend, below, slope, xi * torch.addcmul(near_left, mean, xi) / below)


def _chord(place: _Bin, run: Tensor) -> Tensor:
    """The slope of the chord from the near end, over a run."""
    terms = _terms(run, *place[4:])
    return terms.mean * torch.addcmul(place.near * terms.left, terms.mean, terms.xi) / terms.below


def _run(place: _Bin, rise: Tensor) -> Tensor:
    """How far along x a spline rises so much from the near end, by the root that does not cancel."""
    p, mean = (rise / place.height).clamp(0, 1), place.mean
    bend = p * torch.sub(place.near + place.far, mean, alpha=2)
    half, double = place.near - bend, 2 * mean * p
    square = torch.addcmul(half * half, mean - half, double, value=2)
    return (double / (half + square.clamp_min(torch.finfo(p.dtype).tiny).sqrt())).clamp(0, 1) * place.width


def _ratios(place: _Bin, run: Tensor, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
    """y/x and (1-y)/(1-x), where the end bins take the chord instead of a quotient of two small numbers."""
    chord = _chord(place, run)
    for end, a, b in zip((place.first, place.last), x, y):
        yield torch.where(end, chord, torch.where(end, 1, b) / torch.where(end, 1, a))
