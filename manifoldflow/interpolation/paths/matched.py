"""Paths that preserve a base distribution: between independent draws every point of the path is a draw."""

import warnings
from typing import Any

import torch
from torch import Tensor

from ... import manifolds
from ...distributions.laws import block_sizes, law_of, lift_of
from ...distributions.lifts import Lift, Shifted
from .great_circle import GreatCircle
from .path import Path
from .points import check_base_shape, pin, reverse_velocity, two_point_sum, velocity_of, weighted_sum

__all__ = ["Matched"]


class Matched(Path):
    r"""Path whose point at every time has exactly the law of the base, if its end points are independent draws from it.

    With :math:`w_0 = (1-t)/\sqrt{(1-t)^2+t^2}` and :math:`w_1 = t/\sqrt{(1-t)^2+t^2}`:

    - Gaussian with mean m: :math:`m + w_0 (x_0 - m) + w_1 (x_1 - m)`.
    - von Mises-Fisher: the angle to the mean is Gaussianised by its own distribution function and combined with
      these weights; the directions away from the mean are joined by a great circle. (On the circle: the signed angle.)
    - Uniform on the sphere: the great circle.
    - Dirichlet: independent Gammas, by an independent Gamma total for each end point (drawn here, once); each
      Gaussianised, combined, brought back and normalised.
    - Independent coordinates with `cdf` and `icdf`: each Gaussianised, combined and brought back.
    - A sequence of these: the coordinates of a point are those of the bases one after the other.
    - A flow: both end points are carried to its base, joined there, and every point is carried back.

    Between equal or opposite points, which independent draws never are, the path leaves them: of a Gaussian,
    :math:`w_0 + w_1 = \sqrt 2` in the middle, or 0. It then says so by a warning; use slerp or geodesic there.

    Args:
        base: Distribution, or sequence of distributions of vectors; None for the standard normal of any event shape.
        start: Points `(*batch, *event)`.
        end: Points, same shape.
        event_dim: Number of dimensions of one point; at least that of the base's event shape.
        generator: Source of the Gamma totals; None for torch's global one.

    Raises:
        ValueError: The base is none of these.
        OffManifoldError: A point is off the base's manifold.

    References: Bodin et al., Linear combinations of latents in generative models, ICLR 2025 (arXiv 2408.08558, eq. 5),
    for the Gaussian; Agustsson et al., Optimal transport maps for distribution preserving operations, ICLR 2019, for
    coordinates; the von Mises-Fisher and Dirichlet paths are this library's.
    """

    def __init__(
        self,
        base: Any,
        start: Any,
        end: Any,
        *,
        event_dim: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        law = law_of(base)
        base = law.base
        depth = 1 if law.blocks else max(event_dim, len(getattr(base, "event_shape", ())))
        # Lengths are Euclidean in flat space, whose metric would only repeat that.
        super().__init__(start, end, event_dim=depth, space=None if law.is_flat else law.space)
        if self.space is not None:
            manifolds.check_points(self.space, start=self.start, end=self.end)
        check_base_shape("start", self.event_shape, base)
        self._title = law.title
        self._parts: list[_Part] = []
        if law.blocks:
            sizes = block_sizes(base, self.event_shape[-1])
            for part, first, last in zip(law.blocks, self.start.split(sizes, -1), self.end.split(sizes, -1)):
                self._parts.append(_Part(lift_of(part), first, last, 1, generator))
        else:
            self._parts.append(_Part(lift_of(law), self.start, self.end, depth, generator))
        if any(part.first.numel() for part in self._parts):  # great circles alone have no such trouble
            _warn_of_copies(self.start, self.end, depth)

    def _settings(self) -> dict[str, Any]:
        return {"base": self._title}

    def _points(self, t: Tensor) -> Tensor:
        return pin(self._curve(t), t, self.start, self.end, self.event_dim)

    def _curve(self, t: Tensor) -> Tensor:
        """The path without its end points put back exactly, which would have no derivative there."""
        if len(self._parts) == 1:
            return self._parts[0](t)
        return torch.cat([part(t) for part in self._parts], -1)

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, shape `(*batch, m, *event)`."""
        times = self._times(t)
        if all(isinstance(part.lift, Shifted) for part in self._parts):
            return velocity_of(self._curve, times)
        return reverse_velocity(self._curve, times)


class _Part:
    """The path of one base: its end points lifted, and combined at every time."""

    def __init__(
        self, lift: Lift, start: Tensor, end: Tensor, event_dim: int, generator: torch.Generator | None
    ) -> None:
        (self.first, away), (self.last, towards) = lift.encode(start, generator), lift.encode(end, generator)
        self.dtype = start.dtype
        self.event_dim = lift.lifted_dim or event_dim
        self.circles: list[GreatCircle] = []
        if away is not None and towards is not None:
            widths = [width for _, width in lift.directions(start.shape[-1])]
            # Opposite directions have probability zero; the point between them is as uniform on any great circle.
            self.circles = [
                GreatCircle(first, last, method="matched", cut_locus="choose")
                for first, last in zip(away.split(widths, -1), towards.split(widths, -1))
            ]
        self.lift = lift.spread()

    def __call__(self, t: Tensor) -> Tensor:
        root = ((1 - t).square() + t.square()).sqrt()
        w = ((1 - t) / root).to(self.first.dtype), (t / root).to(self.first.dtype)
        normal = two_point_sum(*w, self.first, self.last, self.event_dim)
        directions = [weighted_sum(circle.weights(t), circle.vectors, 1) for circle in self.circles]
        return self.lift.decode(normal, torch.cat(directions, -1) if directions else None).to(self.dtype)


def _warn_of_copies(start: Tensor, end: Tensor, event_dim: int) -> None:
    """Warn of pairs that are equal up to sign, whose path is not the point or the great circle they may expect."""
    first: Any = (..., *[slice(1)] * event_dim)
    if not manifolds.is_eager() or not bool((start[first].abs() == end[first].abs()).any()):
        return  # most pairs differ in their first coordinate already
    axis = start.ndim - event_dim
    same, opposite = ((start == other).flatten(axis).all(-1) for other in (end, -end))
    if bool((same | opposite).any()):
        warnings.warn(
            "matched: some end points are equal or opposite, and the path leaves the point, or passes through the "
            "middle of the base, since independent draws never are; use slerp or geodesic for such pairs",
            stacklevel=3,
        )
