"""Combinations of n points with weights, and the grids and subspaces made of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ... import manifolds
from ..._geomstats import Manifold
from ...checks import as_tensor, check_integer
from ...distributions.laws import block_sizes, law_of, lift_of
from ...distributions.lifts import Shifted
from .points import as_points, check_base_shape, check_event_dim, weighted_sum

__all__ = ["combine", "frechet_combine", "grid", "subspace"]


def combine(
    points: Any,
    weights: Any,
    *,
    base: Any = None,
    event_dim: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Combinations of n points that preserve the base: of independent draws, each is a draw.

    For the Gaussian with mean m, :math:`y = (1 - \alpha/\sqrt\beta) m + \sum_i w_i x_i / \sqrt\beta` with
    :math:`\alpha = \sum w_i`, :math:`\beta = \sum w_i^2`; the other bases combine the normal parts of their points in
    this way, and their directions as independent normal vectors along them, normalised.

    Args:
        points: `(*batch, n, *event)`, n at least 2.
        weights: `(n,)`, or `(*combinations, n)`; any sign, not all zero (they may sum to zero: a difference of two
            draws, rescaled, is a draw). Their overall scale does not matter.
        base: Distribution with a known lift (see `Matched`), or a sequence of them, whose coordinates stand one after
            the other; None for the standard normal.
        event_dim: Number of dimensions of one point; at least that of the base's event shape.
        generator: Source of the random lengths of directions and of Gamma totals; None for torch's global one.

    Returns:
        `(*batch, *combinations, *event)`. With one weight that is not zero, and positive, the point itself.

    Raises:
        ValueError: One point only, weights that do not fit the points, are not finite or are all zero.

    Reference: Bodin et al., Linear combinations of latents in generative models, ICLR 2025 (arXiv 2408.08558), equation
    5.
    """
    check_event_dim(event_dim)
    if isinstance(base, Sequence):
        points = as_points("points", points, 2)
        blocks = points.split(block_sizes(base, points.shape[-1]), -1)
        return torch.cat([combine(x, weights, base=b, generator=generator) for b, x in zip(base, blocks)], -1)
    law = law_of(base)
    if law.base is not None:
        event_dim = max(event_dim, len(law.base.event_shape))
    points = as_points("points", points, event_dim + 1)
    axis = points.ndim - event_dim - 1
    check_base_shape("points", points.shape[axis + 1 :], law.base)
    weights, flat = _weights(weights, points, axis)
    size = flat.square().sum(-1, keepdim=True).sqrt()
    if manifolds.is_eager() and not bool((size > 0).all()):
        raise ValueError("weights: expected at least one that is not zero in every combination, got a row of zeros")
    lift, space = lift_of(law), getattr(law.base, "manifold", None)
    if space is not None:
        manifolds.check_points(space, points=points)
    # The parameters' batch stands before the n points while lifting, before the combinations afterwards.
    normal, direction = lift.spread().encode(points, generator)
    mixed = weighted_sum((flat / size).to(normal.dtype), normal, lift.lifted_dim or event_dim)
    towards = None
    if direction is not None:
        towards = _all_towards(direction, flat / size, lift.directions(points.shape[-1]), generator)
    result = lift.spread().decode(mixed, towards).to(points.dtype)
    alone = ((flat != 0).sum(-1) == 1) & (flat.sum(-1) > 0)  # the point itself, without the rounding of the lift
    result = torch.where(alone.reshape(-1, *[1] * event_dim), points.index_select(axis, flat.argmax(-1)), result)
    return result.reshape(*result.shape[:axis], *weights.shape[:-1], *result.shape[axis + 1 :])


def _all_towards(
    directions: Tensor, weights: Tensor, kinds: Sequence[tuple[int, int]], generator: torch.Generator | None
) -> Tensor:
    """`_towards` of several directions that stand one after the other; kinds are their dimensions and widths."""
    split = directions.split([width for _, width in kinds], -1)
    return torch.cat([_towards(d, weights, dim, generator) for d, (dim, _) in zip(split, kinds)], -1)


def _towards(direction: Tensor, weights: Tensor, dim: int, generator: torch.Generator | None) -> Tensor:
    """The direction of a combination of independent normal vectors along the given directions, which is uniform."""
    degrees = torch.full(direction.shape[:-1], dim / 2, dtype=torch.float64, device=direction.device)
    radii = (2 * torch._standard_gamma(degrees, generator=generator)).sqrt().to(direction.dtype)
    towards = weighted_sum(weights, radii[..., None] * direction, 1)
    return towards / torch.linalg.vector_norm(towards, dim=-1, keepdim=True)


def _weights(weights: Any, points: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Weights as given, and as a matrix `(combinations, n)`, that fit the points."""
    n = points.shape[axis]
    weights = as_tensor("weights", weights, dtype=points.dtype, device=points.device).to(points)
    if n < 2:
        raise ValueError(f"points: expected at least 2 along dimension {axis}, got {n}; there is nothing to combine")
    if weights.ndim < 1 or weights.shape[-1] != n:
        raise ValueError(f"weights: expected shape (..., {n}), one for each point, got {tuple(weights.shape)}")
    if manifolds.is_eager() and not bool(weights.isfinite().all()):
        raise ValueError("weights: expected finite numbers, got NaN or infinity")
    return weights, weights.reshape(-1, n)


def frechet_combine(space: Manifold, points: Any, weights: Any) -> Tensor:
    r"""Weighted Frechet means: minimisers of :math:`\sum_i w_i d(y, x_i)^2` on a space.

    Args:
        space: A geomstats space with a metric.
        points: `(*batch, n, *space.shape)`, n at least 2.
        weights: `(n,)` or `(*combinations, n)`, nonnegative, not all zero.

    Returns:
        `(*batch, *combinations, *space.shape)`. Like every mean it is shorter than its points: it does not preserve a
        base.

    Raises:
        ValueError: One point only, or weights that are negative, sum to zero or do not fit the points.
    """
    event_dim = len(space.shape)
    points = as_points("points", points, event_dim + 1)
    axis = points.ndim - event_dim - 1
    weights, flat = _weights(weights, points, axis)
    manifolds.check_points(space, points=points)
    expanded = points.unsqueeze(axis).expand(*points.shape[:axis], len(flat), *points.shape[axis:])
    means = manifolds.frechet_mean(space, expanded, flat)
    return means.reshape(*means.shape[:axis], *weights.shape[:-1], *means.shape[axis + 1 :])


def grid(
    points: Any,
    rows: int,
    columns: int,
    *,
    base: Any = None,
    space: Manifold | None = None,
    event_dim: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A grid spanned by three or four latents, which stand in its corners.

    Args:
        points: `(*batch, 3, *event)`: top left, top right and bottom left (the weights of the fourth corner are theirs
            continued: -1, 1, 1); or four, the last being bottom right (bilinear weights).
        rows: Number of rows, at least 2.
        columns: Number of columns, at least 2.
        base: See `combine`, which is used unless there is a space.
        space: Take weighted Frechet means on this space; needs four points, since means have no negative weights.
        event_dim: Number of dimensions of one point.
        generator: See `combine`; one draw serves the whole grid.

    Returns:
        `(*batch, rows, columns, *event)`.
    """
    for name, value in (("rows", rows), ("columns", columns)):
        check_integer(name, value, 2)
    points = as_points("points", points, 1)
    depth = len(space.shape) if space is not None else max(event_dim, len(getattr(base, "event_shape", ())))
    corners = points.shape[points.ndim - depth - 1] if points.ndim > depth else 0
    if corners not in ((3, 4) if space is None else (4,)):
        wanted = "3 or 4" if space is None else "4"
        raise ValueError(
            f"points: expected {wanted} along dimension {points.ndim - depth - 1}, got shape {tuple(points.shape)}"
        )
    v, u = torch.meshgrid(
        torch.linspace(0, 1, rows, dtype=points.dtype), torch.linspace(0, 1, columns, dtype=points.dtype), indexing="ij"
    )
    corner = [1 - u - v, u, v] if corners == 3 else [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]
    weights = torch.stack(corner, -1)
    if space is not None:
        return frechet_combine(space, points, weights)
    return combine(points, weights, base=base, event_dim=event_dim, generator=generator)


def subspace(points: Any, coordinates: Any, *, base: Any = None, event_dim: int = 1) -> Tensor:
    r"""Points of the subspace spanned by n latents, at coordinates in its orthonormal basis, with the base's law.

    Args:
        points: Latents `(n, *event)` that span it; linearly independent.
        coordinates: `(..., n)`, in the basis of the QR decomposition of the centred latents; not all zero.
        base: A Gaussian (its mean is the origin of the subspace); None for the standard normal.
        event_dim: Number of dimensions of one point.

    Returns:
        `(..., *event)`: the combinations whose weights give these coordinates, with the Gaussian correction of
        `combine`, so that the overall length of the coordinates does not matter.

    Raises:
        ValueError: The latents are linearly dependent, or the base is not Gaussian.

    Reference: arXiv 2408.08558, section 4 (subspaces).
    """
    points = as_points("points", points, event_dim + 1)
    lift = lift_of(base)
    if not isinstance(lift, Shifted):
        raise ValueError(
            f"base: expected a Gaussian, whose subspaces are linear, got {type(base).__name__}; use combine"
        )
    centred = lift.encode(points, None)[0].flatten(1)
    triangle = torch.linalg.qr(centred.T).R
    if triangle.shape[0] < len(points) or float(triangle.diagonal().abs().min()) <= 1e-6 * float(
        triangle.diagonal().abs().max()
    ):
        raise ValueError(f"points: expected {len(points)} linearly independent latents, got dependent ones")
    wanted = as_tensor("coordinates", coordinates, dtype=points.dtype, device=points.device).to(points)
    if wanted.ndim < 1 or wanted.shape[-1] != len(points):
        raise ValueError(f"coordinates: expected shape (..., {len(points)}), got {tuple(wanted.shape)}")
    weights = torch.linalg.solve_triangular(triangle, wanted.reshape(-1, len(points)).T, upper=True).T
    return combine(points, weights.reshape(wanted.shape), base=base, event_dim=event_dim)
