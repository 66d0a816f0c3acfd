"""A path through given points at given times, straight in between."""

from typing import Any

import torch
from torch import Tensor

from ._arguments import as_points, check_event_dim, check_times
from .path import Path

__all__ = ["Polyline"]


class Polyline(Path):
    """Straight lines between points; what a sample of a bridge, or a stored path, is.

    Args:
        points: Points `(*batch, m, *event)`, m at least 2.
        times: Their times `(m,)`, strictly increasing from 0 to 1; None for equally spaced ones.
        event_dim: Number of dimensions of one point.

    Raises:
        ValueError: Fewer than two points, or times that do not fit them.
    """

    def __init__(self, points: Any, times: Tensor | None = None, *, event_dim: int = 1) -> None:
        check_event_dim(event_dim)
        self.points = as_points("points", points, event_dim + 1)
        axis = self.points.ndim - event_dim - 1
        m = self.points.shape[axis]
        if m < 2:
            raise ValueError(f"points: expected at least 2 along dimension {axis}, got {m}")
        if times is None:
            times = torch.linspace(0, 1, m)
        self.nodes = check_times(times, self.points, increasing=True)
        if self.nodes.shape != (m,) or float(self.nodes[0]) != 0 or float(self.nodes[-1]) != 1:
            raise ValueError(
                f"times: expected {m} increasing times that begin with 0 and end with 1, got shape "
                f"{tuple(self.nodes.shape)} from {self.nodes.flatten()[:1].tolist()} to "
                f"{self.nodes.flatten()[-1:].tolist()}"
            )
        super().__init__(self.points.select(axis, 0), self.points.select(axis, -1), event_dim=event_dim)

    def _index(self, t: Tensor) -> Tensor:
        """Number of the node that ends the segment of each time."""
        found = torch.searchsorted(self.nodes, t.detach().contiguous(), right=True)
        return found.clamp(1, len(self.nodes) - 1)

    def _interval(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The points before and after `t`, and the share of the way between them."""
        axis = len(self.batch_shape)
        index = self._index(t)
        low, high = self.nodes[index - 1], self.nodes[index]
        share = ((t - low) / (high - low)).reshape(*t.shape, *[1] * self.event_dim)
        if t.ndim == 1:
            return self.points.index_select(axis, index - 1), self.points.index_select(axis, index), share
        where = index.reshape(*index.shape, *[1] * self.event_dim).expand(*index.shape, *self.event_shape)
        return self.points.gather(axis, where - 1), self.points.gather(axis, where), share

    def _points(self, t: Tensor) -> Tensor:
        before, after, share = self._interval(t)
        return (1 - share) * before + share * after  # exact at both nodes, which lerp is not

    def velocity(self, t: Tensor) -> Tensor:
        """Slope of the segment that begins at or contains `t`, shape `(*batch, m, *event)`."""
        times = self._times(t)
        index = self._index(times)
        before, after, _ = self._interval(times)
        width = (self.nodes[index] - self.nodes[index - 1]).reshape(*times.shape, *[1] * self.event_dim)
        return (after - before) / width
