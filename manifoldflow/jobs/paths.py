"""The paths of a job: each row's points depend on its own end points, the seed and its number alone."""

from copy import deepcopy
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distributions import Dirichlet
from ..errors import DataError
from ..flows import ManifoldFlow
from ..interpolation import METHODS, CurveEnergy, SobolevDescent, interpolate, methods_for, optimise, realism_energy
from ..realism import DensityIndex, Index, TwoSidedIndex

__all__ = ["OPTIMISED", "JobPaths", "row_seed"]

OPTIMISED = {"index": "density", "eps": 0.1, "segments": 50, "coarse": 0, "tolerance": 1e-5, "max_iterations": 1000}
"""Options of the method `optimised` with their defaults; `index` is "density" or "typical"."""

_DRAWS, _DRAWS_AT_ONCE = 10_000, 1_000
"""How many draws of the base stand for its density in the index of `optimised`."""


def row_seed(seed: int, row: int) -> int:
    """The seed of a row's generator; different for different rows.

    torch's CPU generator takes 32 bits of a seed, of which 50,000 random ones would collide with a probability of
    1/4: a one-to-one map of 32 bits (the finaliser of MurmurHash3) cannot.
    """
    x = row ^ _scrambled(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * factor & 0xFFFFFFFF
    return x ^ (x >> 16)


@lru_cache
def _scrambled(seed: int) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


class JobPaths:
    """Paths by one method between pairs of points, at equally spaced times.

    Paths are computed on the CPU, so that their noise is the same for every device; `optimised`, whose time goes into
    the decoder, on the flow's device.

    Args:
        flow: Whose base the points belong to; decodes for `optimised`.
        method: A method that suits the base, or `optimised`: the realism energy of arXiv 1904.03445 with the density
            index of the base and the flow's decoder.
        steps: Number of times m, both ends included.
        seed: Of the random methods' noise, and of the draws behind the index of `optimised`.
        options: Of the method, as its class takes them; for `optimised` those of `OPTIMISED`.

    Raises:
        DataError: A method that does not suit the base, fewer than 2 steps, an option that the method does not take.
    """

    def __init__(
        self, flow: ManifoldFlow, *, method: str, steps: int, seed: int = 0, options: dict[str, Any] | None = None
    ) -> None:
        self.flow, self.steps, self.seed = flow, steps, seed
        self.method, self.options = method.replace("_", "-").lower(), dict(options or {})
        self.base = deepcopy(flow.base)  # stays where it is when the flow moves
        if steps < 2:
            raise DataError(f"steps: expected at least 2, got {steps}")
        allowed = [*methods_for(self.base), "optimised"]
        if self.method not in allowed:
            raise DataError(f"method: expected one of {', '.join(allowed)} for this base, got {method!r}")
        # The Gamma totals of matched paths under a Dirichlet are random too.
        self.random = METHODS[self.method].random or (self.method == "matched" and isinstance(self.base, Dirichlet))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            try:
                self._check_options()
            except (TypeError, ValueError) as error:
                raise DataError(f"option: the method {self.method} does not take {self.options}: {error}") from error

    def _check_options(self) -> None:
        if self.method == "optimised":
            self._prepare(**{**OPTIMISED, **self.options})
        elif self.options:
            trial = self.base.sample((2,))
            self._interpolate(trial[:1], trial[1:], torch.Generator())

    def _prepare(
        self, *, index: str, eps: float, segments: int, coarse: int, tolerance: float, max_iterations: int
    ) -> None:
        """Energy and solver of `optimised`."""
        if index not in ("density", "typical"):
            raise ValueError(f"index: expected 'density' or 'typical', got {index!r}")
        if type(segments) is not int or type(coarse) is not int or coarse < 0 or segments >> coarse < 2:
            raise ValueError(f"segments, coarse: expected at least 2 segments left, got {segments} and {coarse}")
        parts = [_DRAWS_AT_ONCE] * (_DRAWS // _DRAWS_AT_ONCE)
        scores = torch.cat([self.base.log_prob(self.base.sample((count,))) for count in parts])
        flow = self.flow
        realism: Index = DensityIndex(lambda s: flow.base.log_prob(s), scores)
        if index == "typical":
            realism = TwoSidedIndex(realism)
        self._energy: CurveEnergy = realism_energy(
            realism.regularised(eps), lambda s: flow.decode(s).flatten(1), space=self.base.manifold
        )
        self._solver = SobolevDescent(tolerance=tolerance, max_iterations=max_iterations)
        self._segments, self._coarse = segments, coarse

    @property
    def solved(self) -> tuple[str, ...]:
        """What the method says of each row beside the points; see `interpolation.Solution`."""
        return ("energy", "length", "realism", "iterations", "status") if self.method == "optimised" else ()

    def __call__(self, rows: Tensor, start: Tensor, end: Tensor) -> dict[str, Tensor]:
        """`points` (b, m, n) of the `rows` (b,) with the ends (b, n), and what `solved` names, (b,), on the CPU.

        Raises:
            ValueError: An end point that is not finite or off the manifold, or a pair without a path.
        """
        if self.method == "optimised":
            return self._optimise(start, end)
        generator = torch.Generator()
        if not self.random:
            return {"points": self._interpolate(start, end, generator)}
        parts = []
        for i, row in enumerate(rows.tolist()):
            generator.manual_seed(row_seed(self.seed, row))
            parts.append(self._interpolate(start[i : i + 1], end[i : i + 1], generator))
        return {"points": torch.cat(parts)}

    def _interpolate(self, start: Tensor, end: Tensor, generator: torch.Generator) -> Tensor:
        points: Tensor = interpolate(
            start, end, method=self.method, base=self.base, steps=self.steps, generator=generator, **self.options
        )
        return points

    def _optimise(self, start: Tensor, end: Tensor) -> dict[str, Tensor]:
        device = next(self.flow.parameters(), start).device
        path = optimise(
            self._energy,
            start.to(device),
            end.to(device),
            segments=self._segments,
            coarse=self._coarse,
            solver=self._solver,
        )
        times = torch.linspace(0, 1, self.steps, dtype=start.dtype, device=device)
        solved = {name: getattr(path.solution, name).cpu() for name in self.solved}
        return {"points": path(times).detach().cpu(), **solved}
