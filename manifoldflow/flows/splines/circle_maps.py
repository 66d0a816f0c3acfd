"""Maps of the circle by angle, from the numbers that a network gives: splines or Moebius mixtures, with a shift."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from ...manifolds.torus import wrap
from .moebius import MoebiusMixture
from .rational_quadratic import RationalQuadratic

__all__ = ["CIRCLE_MAPS", "CircleMap"]

_TURN = 2 * math.pi


class CircleMap(Protocol):
    """A batch of bijections of the circle, one for each element."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Angles `(*batch,)` of angles x in [-pi, pi], not wrapped, and the log slopes."""

    def inverse(self, y: Tensor) -> Tensor:
        """The angles whose values are y up to full turns, not wrapped."""


class _Spline:
    """A circular spline of [-pi, pi], then a shift."""

    def __init__(self, raw: Tensor, shift: Tensor) -> None:
        self.spline, self.shift = RationalQuadratic(raw, circular=True), shift

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        share = (x / _TURN + 0.5).clamp(0, 1)
        to, log_slope = self.spline(share)
        return x + _TURN * (to - share) + self.shift, log_slope

    def inverse(self, y: Tensor) -> Tensor:
        x = wrap(y - self.shift)
        share = (x / _TURN + 0.5).clamp(0, 1)
        return x + _TURN * (self.spline.inverse(share) - share)


class _Moebius:
    """A mixture of Moebius maps, then a shift."""

    def __init__(self, raw: Tensor, shift: Tensor) -> None:
        self.mixture, self.shift = MoebiusMixture(raw), shift

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = self.mixture(x)
        return y + self.shift, log_slope

    def inverse(self, y: Tensor) -> Tensor:
        return self.mixture.inverse(y - self.shift)


class _Kind(NamedTuple):
    """How to make a map of a kind.

    Attributes:
        count: From a number of bins, or of centres, to the number of parameters without the shift.
        make: From those parameters `(*batch, count)` and the shift `(*batch,)` to a map.
    """

    count: Callable[[int], int]
    make: Callable[[Tensor, Tensor], CircleMap]


def _three_each(bins: int) -> int:
    return 3 * bins


CIRCLE_MAPS = {"spline": _Kind(_three_each, _Spline), "moebius": _Kind(_three_each, _Moebius)}


def separate(raw: Tensor) -> tuple[Tensor, Tensor]:
    """A map's parameters `(*batch, count)` and its shift `(*batch,)`, from both together `(*batch, count + 1)`."""
    parameters, shift = raw.split([raw.shape[-1] - 1, 1], -1)
    return parameters, shift.squeeze(-1)
