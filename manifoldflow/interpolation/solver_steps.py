r"""The two parts of a descent step on many discrete curves: the Sobolev solve and the quasi-Newton memory.

Curves are held by their interior nodes `(pairs, k - 1, n)`; inner products are per pair.
"""

import torch
from torch import Tensor

__all__ = ["Memory", "dot", "laplacian_solve", "per_pair"]


def per_pair(values: Tensor) -> Tensor:
    """Values `(pairs,)` so that they broadcast with nodes `(pairs, k - 1, n)`."""
    return values[:, None, None]


def dot(first: Tensor, last: Tensor) -> Tensor:
    """Inner products `(pairs,)` of two fields on the nodes."""
    return (first * last).sum((1, 2))


def laplacian_solve(weights: Tensor, field: Tensor) -> Tensor:
    r"""v with :math:`a_{j-1} (v_j - v_{j-1}) - a_j (v_{j+1} - v_j) = b_j` and v = 0 at both ends.

    This is the gradient in the weighted H1 metric :math:`\sum_j a_j |v_{j+1} - v_j|^2`, along every curve and
    coordinate. The system is tridiagonal, but one integration gives the fluxes
    :math:`q_j = a_j (v_{j+1} - v_j) = q_0 - \sum_{i \le j} b_i` and a second the solution, with :math:`q_0` from v = 0
    at the end: two cumulative sums instead of a loop over the nodes.

    Args:
        weights: Positive segment weights a, `(pairs, k)`.
        field: Right-hand sides b, `(pairs, k - 1, n)`.
    """
    inflow = torch.cat([torch.zeros_like(field[:, :1]), field.cumsum(1)], 1)
    compliance = weights.reciprocal()[..., None]
    first = (inflow * compliance).sum(1, keepdim=True) / compliance.sum(1, keepdim=True)
    return ((first - inflow) * compliance)[:, :-1].cumsum(1)


class Memory:
    """Limited-memory BFGS for every pair at once, on top of the Sobolev solve.

    A pair that took no step leaves an entry that does nothing.

    Args:
        size: How many steps are remembered; 0 leaves only a Barzilai-Borwein scale from the last one.
        nodes: Interior nodes whose shape, dtype and device the entries take.
    """

    def __init__(self, size: int, nodes: Tensor) -> None:
        self.size = size
        self.steps: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.curvatures: list[Tensor] = []  # 1 / (s . y), 0 where unused
        self.scale = torch.ones_like(nodes[:, 0, 0])

    def add(self, weights: Tensor, step: Tensor, change: Tensor, taken: Tensor) -> None:
        """Remember a step s and the change y of the gradient over it, for the pairs that took it."""
        product = dot(step, change)
        stiffness = dot(change, laplacian_solve(weights, change))
        tiny = torch.finfo(step.dtype).eps
        # The curvature condition, relative to the Cauchy-Schwarz bound in the Sobolev metric.
        usable = taken & (product > 0) & (product * product > tiny * dot(step, step) * dot(change, change))
        ratio = product / torch.where(usable, stiffness, 1)
        self.scale = torch.where(taken, torch.where(usable, ratio, 1).clamp(0.05, 2.0), self.scale)
        if self.size:
            self.steps = [*self.steps, step][-self.size :]
            self.changes = [*self.changes, change][-self.size :]
            curvature = torch.where(usable, 1 / torch.where(usable, product, 1), 0)
            self.curvatures = [*self.curvatures, curvature][-self.size :]

    def direction(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """The quasi-Newton direction -H g (two-loop recursion around the scaled Sobolev solve)."""
        rest = gradient.clone()
        shares = []
        for s, y, c in zip(reversed(self.steps), reversed(self.changes), reversed(self.curvatures)):
            share = c * dot(s, rest)
            rest.addcmul_(per_pair(-share), y)
            shares.append(share)
        result = laplacian_solve(weights, rest).mul_(per_pair(self.scale))
        for s, y, c, share in zip(self.steps, self.changes, self.curvatures, reversed(shares)):
            result.addcmul_(per_pair(share - c * dot(y, result)), s)
        return result.neg_()

    def keep(self, rows: Tensor) -> None:
        """Keep only some pairs."""
        self.steps = [v[rows] for v in self.steps]
        self.changes = [v[rows] for v in self.changes]
        self.curvatures = [v[rows] for v in self.curvatures]
        self.scale = self.scale[rows]
