"""Jumps of a direction or an angle to its antipode, which join modes that paths seldom cross between."""

import torch
from torch import Tensor

from .geodesic import Geodesics

__all__ = ["Jumps"]

_LEAST = 0.01  # acceptance for which a jump is worth its evaluation
_TIMES = 3.0  # so much likelier than paths that cross by themselves


class Jumps:
    """Which sphere's point to send to its antipode, and whether that pays.

    Densities of axes (Bingham's, Watson's, mixtures of opposite directions) have modes that face each other. The
    reflection of one point is its own inverse and keeps the area, so that accepting it with the probability
    min(1, p(-x) / p(x)) leaves the target invariant (L. Tierney, Annals of Applied Probability 8, 1998). Warm-up tries
    it after every path; later draws do only if it was accepted in warm-up's second half, and more often than paths went
    to the other side by themselves.

    Attributes:
        kept: Whether draws after warm-up jump.
    """

    def __init__(self, geodesics: Geodesics) -> None:
        self._points = [slice(i, i + n) for start, end, n in geodesics.groups for i in range(start, end, n)]
        self._tries, self._accepted, self._crossed = 0, 0.0, 0
        self.kept = False

    def choose(self, q: Tensor) -> tuple[slice, Tensor] | None:
        """A point, each as likely, and the position with it at its antipode; None where there are no spheres."""
        if not self._points:
            return None
        point = self._points[int(torch.randint(len(self._points), ()))]
        other = q.clone()
        other[point].neg_()
        return point, other

    def note(self, accept_prob: float, crossed: bool) -> None:
        """Take a jump of warm-up into account, and whether the path before it had gone to the other side."""
        self._tries += 1
        self._accepted += accept_prob
        self._crossed += crossed

    def decide(self) -> None:
        """Keep jumping or not, by what was noted."""
        self.kept = self._accepted > max(_LEAST * self._tries, _TIMES * self._crossed)
