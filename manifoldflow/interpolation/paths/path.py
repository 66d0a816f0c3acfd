"""What a path is: a callable of times, with its velocity, length, energy and constant-speed version; and polylines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ... import manifolds
from ..._geomstats import Manifold
from .points import (
    as_points,
    check_event_dim,
    check_times,
    decoded,
    forward_derivative,
    in_one_line,
    pair_of_points,
    velocity_of,
)

__all__ = ["ConstantSpeed", "Path", "Polyline"]

Decoder = Callable[[Tensor], Tensor]


class Path(ABC):
    r"""A curve :math:`\gamma: [0, 1] \to` latent space between `start` and `end`, one for every pair of a
    batch.

    Called with times `t` of shape `(m,)` (or `(*batch, m)`: other times for every pair) it returns points
    `(*batch, m, *event)` of the dtype and device of its end points. A subclass computes them in `_points`,
    whose times are checked already; everything else follows from that.

    Args:
        start: Points at t = 0, shape `(*batch, *event)`; tensors or arrays.
        end: Points at t = 1, same shape; batches broadcast.
        event_dim: How many trailing dimensions make one point: 1 for vectors, 3 for images.
        space: A geomstats space whose metric measures lengths; None for Euclidean space.

    Raises:
        ValueError: End points of different shape, dtype or device, or not finite; times outside [0, 1].
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1, space: Manifold | None = None) -> None:
        check_event_dim(event_dim)
        self.start, self.end = pair_of_points(start, end, event_dim)
        self.event_dim = event_dim
        self.space = space

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch of pairs."""
        return self.start.shape[: self.start.ndim - self.event_dim]

    @property
    def event_shape(self) -> torch.Size:
        """Shape of one point."""
        return self.start.shape[self.start.ndim - self.event_dim :]

    def __repr__(self) -> str:
        return in_one_line(self, batch=tuple(self.batch_shape), event=tuple(self.event_shape), **self._settings())

    def _settings(self) -> dict[str, Any]:
        """What else the one-line repr says."""
        return {} if self.space is None else {"space": self.space}

    @abstractmethod
    def _points(self, t: Tensor) -> Tensor:
        """Points at checked times `(m,)` or `(*batch, m)`, as `(*batch, m, *event)`."""

    def __call__(self, t: Tensor) -> Tensor:
        """Points at times `t` of shape `(m,)` or `(*batch, m)`, as `(*batch, m, *event)`."""
        return self._points(self._times(t))

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, shape `(*batch, m, *event)`; by forward-mode differentiation unless known."""
        times = self._times(t)
        return velocity_of(self._points, times)

    def speed(self, t: Tensor, *, decode: Decoder | None = None) -> Tensor:
        """Norm of the velocity at `t`, shape `(*batch, m)`; of the decoded path if `decode` is given."""
        times = self._times(t)
        if decode is None:
            points, velocity = self._points(times), self.velocity(times)
            if self.space is not None:
                return manifolds.broadcasting(self.space.metric).norm(velocity, base_point=points)
        else:
            velocity = forward_derivative(
                lambda points: decoded(decode, points, self.event_dim), self._points(times), self.velocity(times)
            )
        return torch.linalg.vector_norm(velocity.flatten(len(self.batch_shape) + 1), dim=-1)

    def length(self, *, decode: Decoder | None = None, steps: int = 256) -> Tensor:
        """Length of every path, shape `(*batch,)`: the sum of `steps` chords, so from below with error
        O(1/steps^2).

        In the metric of the path's space, or Euclidean in the output of `decode` (rows of latents to rows of
        data).
        """
        return self._chords(decode, steps).sum(-1)

    def energy(self, *, decode: Decoder | None = None, steps: int = 256) -> Tensor:
        r"""Energy :math:`\frac12 \int_0^1 |\dot\gamma|^2 dt` of every path, shape `(*batch,)`, from `steps`
        chords.

        At least length^2 / 2, with equality at constant speed.
        """
        return steps / 2 * self._chords(decode, steps).square().sum(-1)

    def resample(self, *, decode: Decoder | None = None, steps: int = 256) -> ConstantSpeed:
        """The same curve at constant speed, in the latent metric or in the output of `decode`.

        The reparametrisation is piecewise linear over `steps` chords, separately for every pair of the batch.
        """
        return ConstantSpeed(self, self._chords(decode, steps))

    def _times(self, t: Tensor) -> Tensor:
        times = check_times(t, self.start)
        if times.ndim > 1 and times.shape[:-1] != self.batch_shape:
            raise ValueError(
                f"t: expected shape (m,) or {(*self.batch_shape, 'm')} (times for every pair), got {tuple(times.shape)}"
            )
        return times

    def _chords(self, decode: Decoder | None, steps: int) -> Tensor:
        """Lengths of the chords between `steps + 1` equally spaced times, shape `(*batch, steps)`."""
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps: expected an integer of at least 1, got {steps!r}")
        times = torch.linspace(0, 1, steps + 1, dtype=self.start.dtype, device=self.start.device)
        points = decoded(decode, self._points(times), self.event_dim)
        axis = len(self.batch_shape)
        first, last = points.narrow(axis, 0, steps), points.narrow(axis, 1, steps)
        if decode is None and self.space is not None:
            return manifolds.broadcasting(self.space.metric).dist(first, last)
        return torch.linalg.vector_norm((last - first).flatten(axis + 1), dim=-1)


class ConstantSpeed(Path):
    """A path run through at constant speed: `path` at times that are piecewise linear in the length covered.

    Args:
        path: The curve.
        chords: Lengths of the chords between equally spaced times of `path`, shape `(*batch, steps)`.

    A path of length zero keeps its own times.
    """

    def __init__(self, path: Path, chords: Tensor) -> None:
        super().__init__(path.start, path.end, event_dim=path.event_dim, space=path.space)
        self.path = path
        covered = torch.cat([torch.zeros_like(chords[..., :1]), chords.cumsum(-1)], -1)
        total = covered[..., -1:]
        even = torch.linspace(0, 1, covered.shape[-1], dtype=chords.dtype, device=chords.device)
        still = total <= 0
        self.covered = torch.where(still, even, covered / torch.where(still, 1, total)).contiguous()

    def times(self, t: Tensor) -> Tensor:
        """The times of the underlying path at which the shares `t` of the length are covered, `(*batch, m)`."""
        steps = self.covered.shape[-1] - 1
        wanted = t.expand(*self.batch_shape, t.shape[-1]).contiguous()
        index = torch.searchsorted(self.covered.detach(), wanted.detach(), right=True).clamp(1, steps)
        low, high = self.covered.gather(-1, index - 1), self.covered.gather(-1, index)
        width = high - low
        share = torch.where(width > 0, (wanted - low) / torch.where(width > 0, width, 1), 0)
        # Rounding must not push the ends away from 0 and 1, where the path reproduces its end points.
        inner = ((index - 1 + share) / steps).clamp(0, 1)
        return torch.where(wanted <= 0, 0, torch.where(wanted >= 1, 1, inner))

    def _points(self, t: Tensor) -> Tensor:
        return self.path._points(self.times(t))


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
            times = torch.linspace(0, 1, m, dtype=self.points.dtype)
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
