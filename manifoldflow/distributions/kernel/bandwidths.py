"""Bandwidths by likelihood: of points under the others, or of points held out."""

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_integer, check_number
from .space_kernels import Embedded, SpaceKernel, log_uniform

__all__ = ["Choice", "adaptive", "leave_one_out", "neighbour_distances"]

_GRID = 13  # bandwidths on the first, even grid of their logs
_SPARE = 3.0  # how many times the spread of the points the largest bandwidth is


class Choice(NamedTuple):
    """What was chosen: `bandwidth` is one number or one for each point."""

    bandwidth: Tensor
    uniform_share: float


def leave_one_out(
    kernel: SpaceKernel, points: Tensor, weights: Tensor, *, least: float, held_out: Tensor | None = None
) -> Choice:
    """The bandwidth under which points are most probable given the others, or `held_out` given the points."""
    log_weights = weights.log()
    others = torch.log1p(-weights)

    def loss(log_width: float) -> float:
        widths = torch.full_like(weights, math.exp(log_width))
        if held_out is not None:
            return -float(kernel.log_sums(held_out.double(), points, widths, log_weights).mean())
        logs = kernel.log_sums(points, points, widths, log_weights, leave_one_out=True) - others
        # A point too far from all others for a sum in float64 is as bad as the smallest number.
        return -float((weights * logs.clamp(min=-1e6)).sum())

    spread = kernel.embed(points) if isinstance(kernel, Embedded) else points
    widest = max(_SPARE * float(spread.var(0).sum().sqrt()), 2 * least)
    grid = torch.linspace(math.log(least), math.log(widest), _GRID).tolist()
    losses = [loss(g) for g in grid]
    best = min(range(_GRID), key=losses.__getitem__)
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    chosen = found.x if found.fun < losses[best] else grid[best]
    if chosen < math.log(least) + 2e-3:
        warnings.warn(
            f"the bandwidth is the smallest allowed, least={least:g}: points that are copies of each other, or nearly, "
            "make the likelihood grow without bound",
            stacklevel=3,
        )
    return Choice(torch.tensor(math.exp(chosen), dtype=points.dtype, device=points.device), 0.0)


def neighbour_distances(kernel: SpaceKernel, points: Tensor, most: int) -> Tensor:
    """Distances `(m, most)` from each point to its nearest others, in the kernel's coordinates."""
    places = kernel.embed(points) if isinstance(kernel, Embedded) else points
    from sklearn.neighbors import NearestNeighbors  # which would bring much more to every import

    search = NearestNeighbors(n_neighbors=most).fit(places.cpu().numpy())
    return torch.from_numpy(search.kneighbors()[0]).to(points)


def adaptive(
    kernel: SpaceKernel,
    space: Manifold,
    points: Tensor,
    weights: Tensor,
    held_out: Tensor | None,
    least: float,
    neighbours: Sequence[int],
    scales: Sequence[float],
    shares: Sequence[float],
) -> Choice:
    """Widths d_k / sqrt(c), with k, c and the uniform share of the largest likelihood of points held out."""
    neighbours = [check_integer("neighbours", k, 1) for k in neighbours]
    scales = [check_number("scales", c, positive=True) for c in scales]
    shares = [check_number("shares", s, 0, 1 - 1e-9) for s in shares]
    flat = log_uniform(space) if any(shares) else 0.0
    train, train_weights = points, weights
    if held_out is None:
        order = torch.randperm(len(points), device=points.device)
        cut = max(1, len(points) // 10)
        held_out, train, train_weights = points[order[:cut]], points[order[cut:]], weights[order[cut:]]
        train_weights = train_weights / train_weights.sum()
    if len(train) <= max(neighbours):
        raise ValueError(f"points: expected more than {max(neighbours)}, the largest of neighbours, got {len(train)}")
    held_out = held_out.double()
    distances = neighbour_distances(kernel, train, max(neighbours))
    best, choice = -math.inf, (neighbours[0], scales[0], shares[0])
    for k, c in itertools.product(neighbours, scales):
        widths = (distances[:, k - 1] / math.sqrt(c)).clamp(min=least)
        logs = kernel.log_sums(held_out, train, widths, train_weights.log())
        for share in shares:
            mixed = logs
            if share > 0:
                mixed = torch.logaddexp(logs + math.log1p(-share), torch.full_like(logs, flat + math.log(share)))
            if (found := float(mixed.mean())) > best:
                best, choice = found, (k, c, share)
    k, c, share = choice
    if train is not points:
        distances = neighbour_distances(kernel, points, k)
    return Choice((distances[:, k - 1] / math.sqrt(c)).clamp(min=least), share)
