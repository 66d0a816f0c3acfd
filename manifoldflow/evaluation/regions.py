"""Regions of highest density, and whether held-out points fall into them as often as they should."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import as_tensor, check_integer, check_number
from .certify import Estimate, log_densities

__all__ = ["HighestDensityRegion", "calibration", "highest_density_region"]


@dataclass(frozen=True)
class HighestDensityRegion:
    """The smallest set that holds a share of a distribution: where its log density is above a threshold.

    Attributes:
        distribution: The distribution.
        level: The share.
        log_threshold: The threshold on the log density.
    """

    distribution: Any
    level: float
    log_threshold: float

    def contains(self, points: Any) -> Tensor:
        """Which points `(N, *event)` lie in the region: booleans `(N,)`."""
        return log_densities(self.distribution, as_tensor("points", points)) >= self.log_threshold

    def coverage(self, points: Any) -> Estimate:
        """The share of points inside, with its binomial standard error; near `level` for a calibrated model."""
        return _share(self.contains(points))


def highest_density_region(distribution: Any, level: float, *, samples: int = 10_000) -> HighestDensityRegion:
    """The region of highest density that holds a share of a distribution.

    Args:
        distribution: With `sample` and `log_prob`.
        level: The share, between 0 and 1.
        samples: Draws behind the threshold, the quantile 1 - `level` of their log densities.

    Raises:
        ValueError: A level outside (0, 1).

    Reference: R. Hyndman, Computing and graphing highest density regions, The American Statistician 50, 1996.

    Example:
        >>> law = mf.VonMisesFisher(torch.eye(3)[0], 10.0)
        >>> region = highest_density_region(law, 0.9)
        >>> region.contains(torch.eye(3)).tolist()
        [True, False, False]
    """
    _check_level(level)
    return HighestDensityRegion(distribution, float(level), float(_drawn(distribution, samples).quantile(1 - level)))


def _check_level(level: Any) -> None:
    check_number("level", level, 0, 1)
    if not 0 < level < 1:
        raise ValueError(f"level: expected a share between 0 and 1, got {level!r}")


def _drawn(distribution: Any, samples: int) -> Tensor:
    """Log densities of draws."""
    check_integer("samples", samples, least=100)
    with torch.no_grad():
        return log_densities(distribution, distribution.sample(torch.Size((samples,))))


def calibration(
    distribution: Any, held_out: Any, levels: Sequence[float] = (0.5, 0.9, 0.99), *, samples: int = 10_000
) -> tuple[tuple[float, Estimate], ...]:
    """For each level the share of held-out points in the region of highest density that holds so much of the model.

    Args:
        distribution: With `sample` and `log_prob`.
        held_out: Points `(N, *event)`.
        levels: Shares between 0 and 1.
        samples: Draws behind the thresholds, the same for all levels.

    Raises:
        ValueError: A level outside (0, 1).

    >>> law = mf.VonMisesFisher(torch.eye(3)[0], 10.0)
    >>> [(level, round(share.value, 1)) for level, share in calibration(law, law.sample((4000,)), [0.3, 0.8])]
    [(0.3, 0.3), (0.8, 0.8)]
    """
    for level in levels:
        _check_level(level)
    drawn = _drawn(distribution, samples)
    scores = log_densities(distribution, as_tensor("held_out", held_out))
    return tuple((float(level), _share(scores >= drawn.quantile(1 - level))) for level in levels)


def _share(inside: Tensor) -> Estimate:
    """The share that is inside, with its binomial standard error."""
    share = float(inside.double().mean())
    return Estimate(share, math.sqrt(max(share * (1 - share), 0.25 / len(inside)) / len(inside)))
