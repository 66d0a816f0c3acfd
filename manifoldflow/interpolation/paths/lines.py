"""Straight lines between latents, and straight lines pushed out to the interpolated norm."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .great_circle import check_not_opposite, directions
from .path import Path
from .points import two_point_sum

__all__ = ["Linear", "NormCorrected"]


class Linear(Path):
    r"""The straight line :math:`(1 - t) x_0 + t x_1`.

    Args:
        start: Points :math:`x_0`, shape `(*batch, *event)`.
        end: Points :math:`x_1`, same shape.
        event_dim: Number of dimensions of one point.

    In high dimension it leaves the typical set: between independent standard normal draws the midpoint has
    norm :math:`\sqrt{n/2}`, not :math:`\sqrt n`.
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1) -> None:
        super().__init__(start, end, event_dim=event_dim)

    def _points(self, t: Tensor) -> Tensor:
        return two_point_sum(1 - t, t, self.start, self.end, self.event_dim)

    def velocity(self, t: Tensor) -> Tensor:
        """The constant :math:`x_1 - x_0` at every time, shape `(*batch, m, *event)`."""
        times = self._times(t)
        axis = len(self.batch_shape)
        shape = (*self.batch_shape, times.shape[-1], *self.event_shape)
        return (self.end - self.start).unsqueeze(axis).expand(shape)

    def length(self, *, decode: Callable[[Tensor], Tensor] | None = None, steps: int = 256) -> Tensor:
        """Length `(*batch,)`: exact without `decode`, else the sum of `steps` chords of the decoded path."""
        if decode is not None:
            return super().length(decode=decode, steps=steps)
        return torch.linalg.vector_norm((self.end - self.start).flatten(len(self.batch_shape)), dim=-1)


class NormCorrected(Path):
    r"""The straight line rescaled to the norm :math:`(1 - t) |x_0| + t |x_1|`.

    Args:
        start: Points :math:`x_0`, shape `(*batch, *event)`.
        end: Points :math:`x_1`, same shape.
        event_dim: Number of dimensions of one point; the norm runs over all of them.

    Raises:
        CutLocusError: End points in exactly opposite directions, whose line passes through the origin.

    It follows the great circle of `Slerp` at uneven speed, twice as fast in the middle as at the ends at 90
    degrees.
    Reference: arXiv 2010.12059, section 5.
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1) -> None:
        super().__init__(start, end, event_dim=event_dim)
        axis = len(self.batch_shape)
        self._pair = directions(self.start.flatten(axis), self.end.flatten(axis))
        check_not_opposite(self._pair, "norm-corrected", 'move a point, or use slerp with cut_locus="choose"')

    def _points(self, t: Tensor) -> Tensor:
        pair = self._pair
        first, last = (1 - t) * pair.first_norm[..., None], t * pair.last_norm[..., None]
        some = pair.some[..., None]
        norm = torch.where(some, first + last, 1)
        first, last = torch.where(some, first, 1) / norm, torch.where(some, last, 0) / norm
        # |f u + l v|^2 = (f - l)^2 + f l |u + v|^2: a sum of squares, where f^2 + l^2 + 2 f l u.v cancels. It
        # is exactly 1 at both ends; a zero vector is reached on a straight line, whose norm is right already.
        reached = (first - last).square() + first * last * pair.opening[..., None]
        scale = 1 / reached.clamp_min(torch.finfo(reached.dtype).tiny).sqrt()
        return two_point_sum((1 - t) * scale, t * scale, self.start, self.end, self.event_dim)
