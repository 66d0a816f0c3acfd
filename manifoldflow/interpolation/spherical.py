"""Spherical linear interpolation of latents, with interpolated norms."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._derivatives import velocity_of
from ._great_circle import GreatCircle
from ._weights import weighted_sum
from .path import Path

__all__ = ["Slerp"]


class Slerp(Path):
    r"""Great circle in direction, straight line in norm, for latents of any shape.

    .. math:: \gamma(t) = \big((1-t)|a| + t|b|\big)
        \frac{\sin((1-t)\omega)\, a/|a| + \sin(t\omega)\, b/|b|}{\sin\omega},
        \qquad \omega = 2\,\mathrm{atan2}(|\hat a - \hat b|, |\hat a + \hat b|)

    Args:
        start: Points a, shape `(*batch, *event)`.
        end: Points b, same shape.
        event_dim: Number of dimensions of one point; norm and angle run over all of them, separately for
            every sample.
        cut_locus: For antipodal directions, "raise", or "choose" a fixed great circle.

    Raises:
        CutLocusError: Antipodal directions under "raise".

    Exact for parallel and for tiny angles, with finite derivatives of every order; a zero vector has no
    direction and is reached on a straight line. End points come back to the last bits. Reference: arXiv
    2010.12059, section 4 (slerp).
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1, cut_locus: str = "raise") -> None:
        super().__init__(start, end, event_dim=event_dim)
        axis = len(self.batch_shape)
        self.circle = GreatCircle(self.start.flatten(axis), self.end.flatten(axis), method="slerp", cut_locus=cut_locus)
        pair = self.circle.pair
        self._norms = pair.first_norm, pair.last_norm

    @property
    def angle(self) -> Tensor:
        """Angle between the end points in radians, shape `(*batch,)`."""
        return self.circle.angle

    def _weights(self, t: Tensor) -> Tensor:
        """Weights of the circle's vectors, whose first two are not unit vectors, `(*batch, m, k)`."""
        return self._scaled(t, self.circle.weights(t))

    def _scaled(self, t: Tensor, weights: Tensor) -> Tensor:
        first, last = (norm[..., None] for norm in self._norms)
        norm = (1 - t) * first + t * last
        some = self.circle.pair.some[..., None]
        scale = [torch.where(some, norm / torch.where(some, own, 1), 1) for own in (first, last)]
        scale += [norm] * (weights.shape[-1] - 2)
        return weights * torch.stack(scale, -1)

    def _sum(self, weights: Tensor) -> Tensor:
        points = weighted_sum(weights, self.circle.vectors, 1)
        return points.unflatten(-1, self.event_shape) if self.event_dim > 1 else points

    def _points(self, t: Tensor) -> Tensor:
        # The scale of an end point is exactly 1 at its own time.
        return self._sum(self._scaled(t, self.circle.pinned(t, self.circle.weights(t))))

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, shape `(*batch, m, *event)`."""
        times = self._times(t)
        return self._sum(velocity_of(self._weights, times))

    def length(self, *, decode: Callable[[Tensor], Tensor] | None = None, steps: int = 256) -> Tensor:
        """Length `(*batch,)`, exact where the norms are equal; otherwise, or with `decode`, the sum of
        `steps` chords.
        """
        if decode is not None:
            return super().length(decode=decode, steps=steps)
        first, last = self._norms
        return torch.where(first == last, first * self.angle, super().length(steps=steps))
