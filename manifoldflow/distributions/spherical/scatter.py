"""First and second moments of points on the sphere, checked, in float64."""

import torch
from pyro.distributions.constraints import sphere
from torch import Tensor

from ..fitting import weighted

__all__ = ["moments_of", "unit_points"]


def unit_points(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Points `(*batch, m, n)`, normalised anew, and weights `(*batch, m)` that sum to 1, both float64.

    Raises:
        ValueError: As `fitting.weighted`, or a point is off the sphere.
    """
    x, w = weighted(points, weights)
    if not bool(sphere.check(points).all()):
        raise ValueError("points: expected unit vectors, got points off the sphere; normalise them first")
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True), w


def moments_of(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean `(*batch, n)` and the mean of ss' `(*batch, n, n)`, of trace 1."""
    x, w = unit_points(points, weights)
    weighted_x = w.unsqueeze(-1) * x
    return weighted_x.sum(-2), weighted_x.mT @ x
