"""The papers' recipe: Adam on all nodes, alternated with straightening a random stretch of the path."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .descent import Monitor, evaluate
from .energy import CurveEnergy
from .solution import Solution, Status

__all__ = ["AdamStraightening"]


@dataclass(frozen=True)
class AdamStraightening:
    """Adam and random straightening, as in arXiv 1904.03445; here to compare with.

    After every Adam step a stretch between two random nodes is replaced by the straight line, for the pairs whose
    energy that lowers. There is no test of convergence in the papers: a pair stops when its best energy has not fallen
    by the share `tolerance` for `patience` iterations, and the best path of every pair is returned.

    Attributes:
        learning_rate: Of Adam.
        straighten: Whether to alternate with straightening.
        tolerance: Relative decrease that counts as progress.
        patience: Iterations without progress after which a pair has converged.
        max_iterations: Iterations after which the run ends.
    """

    learning_rate: float = 0.05
    straighten: bool = True
    tolerance: float = 1e-5
    patience: int = 200
    max_iterations: int = 2000

    def minimise(
        self, energy: CurveEnergy, nodes: Tensor, *, finished: Callable[[int], None] | None = None
    ) -> Solution:
        """Minimise from nodes `(pairs, k + 1, n)` in the coordinates of the energy's domain; end points stay."""
        domain = energy.domain
        monitor = Monitor(len(nodes), finished)
        interior = nodes[:, 1:-1].clone().requires_grad_()
        adam = torch.optim.Adam([interior], lr=self.learning_rate)
        at = evaluate(energy, nodes)
        best, best_nodes, last = at.energy.clone(), nodes.clone(), at.energy.clone()
        waited = torch.zeros_like(best, dtype=torch.long)
        broken = ~best.isfinite()
        status = torch.full_like(waited, Status.ITERATION_LIMIT)
        iterations = torch.full_like(waited, self.max_iterations)
        current = nodes
        try:
            for iteration in range(1, self.max_iterations + 1):
                done = broken | (waited >= self.patience)
                status[done & (status == Status.ITERATION_LIMIT)] = Status.CONVERGED
                iterations[done & (iterations == self.max_iterations)] = iteration
                monitor.record(best, int(done.sum()))
                if bool(done.all()):
                    break
                interior.grad = at.gradient.nan_to_num()
                adam.step()
                with torch.no_grad():
                    interior.copy_(domain.retract(interior, torch.zeros_like(interior)))
                    current = torch.cat([nodes[:, :1], interior, nodes[:, -1:]], 1)
                    if self.straighten:
                        current = self._straightened(energy, current)
                        interior.copy_(current[:, 1:-1])
                at = evaluate(energy, current)
                better = at.energy < best
                best_nodes = torch.where(better[:, None, None], current, best_nodes)
                best = torch.where(better, at.energy, best)
                progress = best < last * (1 - self.tolerance)
                last = torch.where(progress, best, last)
                waited = torch.where(progress, 0, waited + 1)
        except KeyboardInterrupt:
            status[status == Status.ITERATION_LIMIT] = Status.INTERRUPTED
        status[broken] = Status.NOT_FINITE
        with torch.no_grad():
            length = energy.inner_segments(best_nodes).length
        return Solution(domain.leave(best_nodes), best, length, iterations, status, (monitor.trace(),))

    @staticmethod
    def _straightened(energy: CurveEnergy, nodes: Tensor) -> Tensor:
        """Replace one random stretch, the same for all pairs, where that lowers the energy."""
        first, last = sorted(torch.randperm(nodes.shape[1])[:2].tolist())
        if last - first < 2:
            return nodes
        share = torch.linspace(0, 1, last - first + 1, dtype=nodes.dtype, device=nodes.device)[:, None]
        line = energy.domain.between(nodes[:, first : first + 1], nodes[:, last : last + 1], share)
        straight = torch.cat([nodes[:, :first], line, nodes[:, last + 1 :]], 1)
        better = energy.inner_segments(straight).energy < energy.inner_segments(nodes).energy
        return torch.where(better[:, None, None], straight, nodes)
