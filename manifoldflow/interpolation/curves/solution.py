"""What a solver returns: curves with their energies, why each one stopped, and the way there."""

from dataclasses import dataclass, field, replace
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
    SETTLED = 5

    @property
    def reason(self) -> str:
        """The same in words."""
        return {
            Status.CONVERGED: "converged: the predicted decrease of the energy is below the tolerance",
            Status.STALLED: "stalled: no step lowers the energy at this precision; try float64",
            Status.ITERATION_LIMIT: "iteration limit reached; raise max_iterations",
            Status.NOT_FINITE: "the decoder or the index is not finite on the starting path",
            Status.INTERRUPTED: "interrupted; the path is the best so far",
            Status.SETTLED: "settled: the index has a kink, and 20 evaluations lowered the energy by less than 1 %",
        }[self]


@dataclass(frozen=True)
class Trace:
    """Energies of pairs that were solved at once, over the iterations (with `coarse`, of the finest level).

    Attributes:
        seconds: Seconds since the start at which each column was reached, `(steps,)`.
        energy: Energies `(pairs, steps)`; a pair that has stopped keeps its last one.
        first: Number of the pair in the first row.
        start: Number of the start that they began with.
    """

    seconds: Tensor
    energy: Tensor
    first: int = 0
    start: int = 0

    def __repr__(self) -> str:
        return f"Trace(pairs={len(self.energy)}, steps={len(self.seconds)}, first={self.first}, start={self.start})"


@dataclass(frozen=True)
class Solution:
    """Discrete curves and how they were reached; rows are pairs.

    Attributes:
        nodes: Nodes `(pairs, k + 1, n)`.
        energy: Energies `(pairs,)`.
        length: Riemannian lengths `(pairs,)` under the same metric.
        iterations: Evaluations of the energy that each pair took, `(pairs,)`.
        status: `Status` codes, `(pairs,)`.
        traces: One `Trace` for every batch that was solved at once (see `chunk`) from every start; see also `trace`.
        start: Which of several starts each pair's best curve came from, `(pairs,)`; None for one.
    """

    nodes: Tensor
    energy: Tensor
    length: Tensor
    iterations: Tensor
    status: Tensor
    traces: tuple[Trace, ...] = field(default=())
    start: Tensor | None = None

    def __repr__(self) -> str:
        pairs, segments = len(self.energy), self.nodes.shape[1] - 1
        return f"Solution(pairs={pairs}, segments={segments}, converged={int(self.converged.sum())})"

    @property
    def realism(self) -> Tensor:
        """exp(-length), `(pairs,)`: the realism index of each curve under the energy of realism."""
        return torch.exp(-self.length)

    @property
    def converged(self) -> Tensor:
        """Which pairs converged, or settled where the index has a kink, `(pairs,)`."""
        return (self.status == Status.CONVERGED) | (self.status == Status.SETTLED)

    def reasons(self) -> list[str]:
        """Why each pair stopped, in words."""
        return [Status(code).reason for code in self.status.tolist()]

    def trace(self, pair: int) -> tuple[Tensor, Tensor]:
        """Seconds and energies `(steps,)` of one pair on the way to its curve; empty if it was never tried."""
        start = 0 if self.start is None else int(self.start[pair])
        for trace in self.traces:
            if trace.start == start and 0 <= pair - trace.first < len(trace.energy):
                return trace.seconds, trace.energy[pair - trace.first]
        return self.energy.new_zeros(0, dtype=torch.float64), self.energy.new_zeros(0)

    @staticmethod
    def join(parts: "list[Solution]") -> "Solution":
        """Solutions of consecutive batches as one."""
        tensors = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("nodes", "energy", "length", "iterations", "status")
        }
        starts = [part.start for part in parts if part.start is not None]
        sizes = [len(part.energy) for part in parts]
        firsts = [sum(sizes[:i]) for i in range(len(parts))]
        return Solution(
            **tensors,
            traces=tuple(
                replace(trace, first=first + trace.first) for first, part in zip(firsts, parts) for trace in part.traces
            ),
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
            traces=tuple(replace(trace, start=i) for i, c in enumerate(candidates) for trace in c.traces),
            start=choice,
        )
