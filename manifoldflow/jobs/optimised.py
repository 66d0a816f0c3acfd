"""The method `optimised` of a job: curves of least realism energy under a flow's base, on the flow's device."""

import torch
from torch import Tensor

from ..distributions import BaseDistribution
from ..flows import ManifoldFlow
from ..interpolation import CurveEnergy, SobolevDescent, Status, optimise, realism_energy
from ..realism import DensityIndex, Index, TwoSidedIndex

__all__ = ["OPTIMISED", "RealismCurves"]

OPTIMISED = {
    "index": "typical",
    "measure": "manifold",
    "eps": 0.1,
    "segments": 30,
    "pieces": 2,
    "coarse": 0,
    "tolerance": 1e-3,
    "max_iterations": 100,
}
"""Options with their defaults, which are those of `manifoldflow interpolate --method optimised`."""

_DRAWS, _DRAWS_AT_ONCE = 10_000, 1_000


class RealismCurves:
    """Curves of least realism energy (arXiv 1904.03445) between points on the base's manifold.

    Args:
        flow: Decodes; its base may be on any device by the time of a call.
        base: The base on the CPU, from which torch's global generator takes 10,000 draws for the index.
        index: "density", or "typical" for the two-sided index, low where a point is more probable than draws are.
        measure: Where lengths are: "manifold", or "images" for the distances of decoded points.
        eps: Squeezes the index into [eps, 1 - eps].
        segments, coarse: As `optimise` takes them.
        pieces: As `CurveEnergy` takes it.
        tolerance, max_iterations: Of the solver. The optimum under "typical" lies on a kink, where the last per cent
            takes hundreds of steps.

    Raises:
        ValueError: An option that is out of range.
    """

    def __init__(
        self,
        flow: ManifoldFlow,
        base: BaseDistribution,
        *,
        index: str,
        measure: str,
        eps: float,
        segments: int,
        pieces: int,
        coarse: int,
        tolerance: float,
        max_iterations: int,
    ) -> None:
        if index not in ("density", "typical"):
            raise ValueError(f"index: expected 'density' or 'typical', got {index!r}")
        if measure not in ("manifold", "images"):
            raise ValueError(f"measure: expected 'manifold' or 'images', got {measure!r}")
        if type(segments) is not int or type(coarse) is not int or coarse < 0 or segments >> coarse < 2:
            raise ValueError(f"segments, coarse: expected at least 2 segments left, got {segments} and {coarse}")
        parts = [_DRAWS_AT_ONCE] * (_DRAWS // _DRAWS_AT_ONCE)
        scores = torch.cat([base.log_prob(base.sample((count,))) for count in parts])
        realism: Index = DensityIndex(lambda s: flow.base.log_prob(s), scores)
        if index == "typical":
            realism = TwoSidedIndex(realism)
        decoder = (lambda s: flow.decode(s).flatten(1)) if measure == "images" else None
        self.energy: CurveEnergy = realism_energy(realism.regularised(eps), decoder, space=base.manifold, pieces=pieces)
        self.flow, self.segments, self.coarse = flow, segments, coarse
        self.solver = SobolevDescent(tolerance=tolerance, max_iterations=max_iterations)

    def __call__(self, began: Tensor, times: Tensor) -> dict[str, Tensor]:
        """Curves that start from nodes `began` (b, segments + 1, n), on the CPU as these are.

        Returns:
            `points` (b, m, n) at `times` (m,), and of `interpolation.Solution` the `energy`, `length`, `realism`,
            `iterations` and `status`, (b,).

        Raises:
            KeyboardInterrupt: The solver was interrupted; what it has by then is no result.
        """
        nodes = began.to(next(self.flow.parameters()).device)
        path = optimise(
            self.energy,
            nodes[:, 0],
            nodes[:, -1],
            segments=self.segments,
            coarse=self.coarse,
            starts=nodes,
            solver=self.solver,
        )
        found = path.solution
        if bool((found.status == Status.INTERRUPTED).any()):
            raise KeyboardInterrupt
        solved = {name: getattr(found, name) for name in ("energy", "length", "realism", "iterations", "status")}
        return {name: value.cpu() for name, value in {"points": path(times.to(nodes)).detach(), **solved}.items()}
