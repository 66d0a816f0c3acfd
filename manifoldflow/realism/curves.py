"""Views of discrete curves: their projection onto a plane, and end points that test an index."""

import torch
from torch import Tensor

__all__ = ["mirrored", "plane_coordinates", "plane_points"]


def plane_coordinates(nodes: Tensor) -> Tensor:
    r"""Coordinates (x, y) of nodes projected onto the plane of their end points, z ~ x z_0 + y z_k.

    With :math:`X = [z_0, z_k]` the coordinates are :math:`(X^T X)^{-1} X^T z` (equation 27 of arXiv 1904.03445): the
    ends are (1, 0) and (0, 1), the origin is (0, 0). Computed in float64.

    Args:
        nodes: Nodes `(*batch, k + 1, n)`, n at least 2, with linearly independent ends.

    Returns:
        `(*batch, k + 1, 2)` in the dtype of `nodes`.

    Raises:
        ValueError: End points that are parallel, so that they span no plane.
    """
    wide = nodes.double()
    ends = torch.stack([wide[..., 0, :], wide[..., -1, :]], -1)
    gram = ends.mT @ ends
    product = gram[..., 0, 0] * gram[..., 1, 1]
    if bool((torch.linalg.det(gram) <= 1e-12 * product).any()):
        raise ValueError("nodes: expected end points that span a plane with the origin, got parallel ones")
    return torch.linalg.solve(gram, ends.mT @ wide.mT).mT.to(nodes.dtype)


def plane_points(start: Tensor, end: Tensor, coordinates: Tensor) -> Tensor:
    """The points x start + y end of the plane through `(n,)` ends, for coordinates `(..., 2)`: `(..., n)`."""
    return coordinates[..., :1] * start + coordinates[..., 1:] * end


def mirrored(z: Tensor, *, share: float = 0.5) -> Tensor:
    """z with the sign of a random subset of its coordinates flipped: the soap-bubble test.

    A symmetric prior finds both ends equally plausible, and the middle of the straight line between them, zero in the
    flipped coordinates, more plausible than either, although no sample is there.

    Args:
        z: Points `(*batch, n)`.
        share: Share of the coordinates to flip, rounded; in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number in [0, 1], got {share}")
    count = round(share * z.shape[-1])
    order = torch.rand(z.shape, device=z.device).argsort(-1)
    return torch.where(order < count, -z, z)
