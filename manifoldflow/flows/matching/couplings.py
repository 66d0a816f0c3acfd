"""Which draw of the base goes with which data point: independent pairs, or minibatch optimal transport."""

from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_choice
from ...manifolds import broadcasting

__all__ = ["COUPLINGS", "Coupling", "find_coupling", "optimal_transport"]

Coupling = Callable[[Manifold, Tensor, Tensor], Tensor]
"""From the space, draws of the base and data `(m, *event)` to the draws in the order of the data."""


def independent(space: Manifold, start: Tensor, end: Tensor) -> Tensor:
    """The draws as they come."""
    return start


@torch.no_grad()
def optimal_transport(space: Manifold, start: Tensor, end: Tensor) -> Tensor:
    """The draws reordered so that the sum of squared geodesic distances to the data is least.

    Exact for the minibatch (scipy's Jonker-Volgenant); the cost grows with the cube of the batch.

    Reference: A. Tong et al., Improving and generalizing flow-based generative models with minibatch optimal
    transport, TMLR 2024 (arXiv 2302.00482), algorithm 3, with the geodesic cost.
    """
    cost = broadcasting(space.metric).squared_dist(start[:, None], end[None])
    rows, columns = linear_sum_assignment(cost.double().cpu().numpy())
    order = torch.empty(len(start), dtype=torch.long, device=start.device)
    order[torch.as_tensor(columns, device=start.device)] = torch.as_tensor(rows, device=start.device)
    return start[order]


COUPLINGS: dict[str, Coupling] = {"independent": independent, "optimal-transport": optimal_transport}
"""Couplings by name."""


def find_coupling(coupling: str | Coupling) -> Coupling:
    """A coupling by name, or the function itself."""
    return coupling if callable(coupling) else COUPLINGS[check_choice("coupling", coupling, COUPLINGS)]
