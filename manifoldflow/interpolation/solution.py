"""What a solver returns: curves with their energies, why each one stopped, and the way there."""

from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

__all__ = ["Solution", "Status", "Trace"]


class Status(IntEnum):
    """Why a pair stopped."""

    CONVERGED = 0
    STALLED = 1
    ITERATION_LIMIT = 2
    NOT_FINITE = 3
    INTERRUPTED = 4

    @property
    def reason(self) -> str:
        """The same in words."""
        return {
            Status.CONVERGED: "converged: the predicted decrease of the energy is below the tolerance",
            Status.STALLED: "stalled: no step lowers the energy at this precision; try float64",
            Status.ITERATION_LIMIT: "iteration limit reached; raise max_iterations",
            Status.NOT_FINITE: "the decoder or the index is not finite on the starting path",
            Status.INTERRUPTED: "interrupted; the path is the best so far",
        }[self]


@dataclass(frozen=True)
class Trace:
    """Energies over the iterations.

    Attributes:
        seconds: Seconds since the start at which each column was reached, `(steps,)`.
        energy: Energies `(pairs, steps)`; a pair that has stopped keeps its last one.
    """

    seconds: Tensor
    energy: Tensor


@dataclass(frozen=True)
class Solution:
    """Discrete curves and how they were reached; rows are pairs.

    Attributes:
        nodes: Nodes `(pairs, k + 1, n)`.
        energy: Energies `(pairs,)`.
        length: Riemannian lengths `(pairs,)` under the same metric.
        iterations: Evaluations of the energy that each pair took, `(pairs,)`.
        status: `Status` codes, `(pairs,)`.
        traces: One `Trace` for every batch that was solved at once (see `chunk`), in order.
        start: Which start each pair's best curve came from, `(pairs,)`.
    """

    nodes: Tensor
    energy: Tensor
    length: Tensor
    iterations: Tensor
    status: Tensor
    traces: tuple[Trace, ...] = field(default=())
    start: Tensor | None = None

    @property
    def realism(self) -> Tensor:
        """exp(-length), `(pairs,)`: the realism index of each curve under the energy of realism."""
        return torch.exp(-self.length)

    @property
    def converged(self) -> Tensor:
        """Which pairs converged, `(pairs,)`."""
        return self.status == Status.CONVERGED

    def reasons(self) -> list[str]:
        """Why each pair stopped, in words."""
        return [Status(code).reason for code in self.status.tolist()]

    @staticmethod
    def join(parts: "list[Solution]") -> "Solution":
        """Solutions of consecutive batches as one."""
        tensors = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("nodes", "energy", "length", "iterations", "status")
        }
        starts = [part.start for part in parts if part.start is not None]
        return Solution(
            **tensors,
            traces=tuple(trace for part in parts for trace in part.traces),
            start=torch.cat(starts) if len(starts) == len(parts) else None,
        )

    @staticmethod
    def best(candidates: "list[Solution]") -> "Solution":
        """For every pair the candidate of lowest energy; NaN is never the lowest."""
        energies = torch.stack([c.energy for c in candidates]).nan_to_num(nan=torch.inf)
        choice = energies.argmin(0)
        rows = torch.arange(energies.shape[1], device=energies.device)

        def pick(name: str) -> Tensor:
            return torch.stack([getattr(c, name) for c in candidates])[choice, rows]

        return Solution(
            nodes=pick("nodes"),
            energy=pick("energy"),
            length=pick("length"),
            iterations=torch.stack([c.iterations for c in candidates]).sum(0),
            status=pick("status"),
            traces=tuple(trace for c in candidates for trace in c.traces),
            start=choice,
        )
