"""The paths of a job: each row's points depend on its own end points, the seed and its number alone."""

import warnings
from copy import deepcopy
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distributions import BaseDistribution, law_of
from ..errors import ConvergenceWarning, DataError
from ..flows import ManifoldFlow
from ..interpolation import (
    METHODS,
    CurveEnergy,
    SobolevDescent,
    Status,
    interpolate,
    methods_for,
    optimise,
    typicality_energy,
)

__all__ = ["OPTIMISED", "JobPaths", "RealismCurves", "row_seed"]

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
"""Options with their defaults, which are those of `manifoldflow interpolate --method typical-curve`."""


class RealismCurves:
    """Curves of least realism energy (arXiv 1904.03445) between points on the base's manifold.

    Args:
        flow: Decodes; its base may be on any device by the time of a call.
        base: The base on the CPU, from which torch's global generator takes 10,000 draws for the index.
        index: As `typicality_energy` takes it.
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
        if measure not in ("manifold", "images"):
            raise ValueError(f"measure: expected 'manifold' or 'images', got {measure!r}")
        if type(segments) is not int or type(coarse) is not int or coarse < 0 or segments >> coarse < 2:
            raise ValueError(f"segments, coarse: expected at least 2 segments left, got {segments} and {coarse}")
        self.energy: CurveEnergy = typicality_energy(
            flow.base,
            flow.decode if measure == "images" else None,
            space=base.manifold,
            index=index,
            eps=eps,
            pieces=pieces,
        )
        self.flow, self.segments, self.coarse = flow, segments, coarse
        self.solver = SobolevDescent(tolerance=tolerance, max_iterations=max_iterations)

    def __call__(self, began: Tensor, times: Tensor) -> dict[str, Tensor]:
        """Curves that start from nodes `began` (b, segments + 1, n), on the CPU as these are.

        Returns:
            `points` (b, m, n) at `times` (m,), and of `interpolation.Solution` the `energy`, `length`, `realism`,
            `iterations` and `status`, (b,).

        Raises:
            KeyboardInterrupt: The solver was interrupted; partial results are discarded.
        """
        nodes = began.to(next(self.flow.parameters()).device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the status of every row is kept
            path = optimise(
                self.energy,
                nodes[:, 0],
                nodes[:, -1],
                segments=self.segments,
                coarse=self.coarse,
                starts=nodes,
                solver=self.solver,
                progress=False,
            )
        found = path.solution
        if bool((found.status == Status.INTERRUPTED).any()):
            raise KeyboardInterrupt
        solved = {name: getattr(found, name) for name in ("energy", "length", "realism", "iterations", "status")}
        return {name: value.cpu() for name, value in {"points": path(times.to(nodes)).detach(), **solved}.items()}


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

    Paths are computed on the CPU, so that their noise is the same for every device; curves are optimised on the
    flow's device.

    Args:
        flow: Whose base the points belong to.
        method: A method that suits the base, or "typical-curve", which starts from matched paths; see `RealismCurves`.
            ("optimised" is its name in older runs.)
        steps: Number of times m, both ends included.
        seed: Of the random methods' noise, and of the draws behind the index of "typical-curve".
        options: Of the method, as its class takes them; for "typical-curve" those of `OPTIMISED`.

    Raises:
        DataError: A method that does not suit the base, fewer than 2 steps, an option that the method does not take.
    """

    def __init__(
        self, flow: ManifoldFlow, *, method: str, steps: int, seed: int = 0, options: dict[str, Any] | None = None
    ) -> None:
        self.flow, self.steps, self.seed = flow, steps, seed
        name = method.replace("_", "-").lower()
        self.method, self.options = "typical-curve" if name == "optimised" else name, dict(options or {})
        self.base = deepcopy(flow.base)  # stays where it is when the flow moves
        if steps < 2:
            raise DataError(f"steps: expected at least 2, got {steps}")
        allowed = [*methods_for(self.base), "typical-curve"]
        if self.method not in allowed:
            raise DataError(f"method: expected one of {', '.join(allowed)} for this base, got {method!r}")
        self._joined_by = "matched" if self.method == "typical-curve" else self.method
        # The Gamma totals of matched paths under a Dirichlet are random too.
        lift = law_of(self.base).lift
        self.random = METHODS[self.method].random or (self._joined_by == "matched" and lift is not None and lift.draws)
        self._curves: RealismCurves | None = None
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            try:
                if self.method == "typical-curve":
                    self._curves = RealismCurves(flow, self.base, **{**OPTIMISED, **self.options})
                elif self.options:
                    trial = self.base.sample((2,))
                    self._interpolate(trial[:1], trial[1:], torch.Generator(), steps)
            except (TypeError, ValueError) as error:
                raise DataError(f"option: the method {self.method} does not take {self.options}: {error}") from error

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"JobPaths(method={self.method!r}, steps={self.steps}, seed={self.seed}{options})"

    @property
    def solved(self) -> tuple[str, ...]:
        """What the method says of each row beside the points; see `interpolation.Solution`."""
        return ("energy", "length", "realism", "iterations", "status") if self.method == "typical-curve" else ()

    def __call__(self, rows: Tensor, start: Tensor, end: Tensor) -> dict[str, Tensor]:
        """`points` (b, m, n) of the `rows` (b,) with the ends (b, n), and what `solved` names, (b,), on the CPU.

        Raises:
            ValueError: An end point that is not finite or off the manifold, or a pair without a path.
        """
        if self._curves is None:
            return {"points": self._join(rows, start, end, self.steps)}
        began = self._join(rows, start, end, self._curves.segments + 1)
        return self._curves(began, torch.linspace(0, 1, self.steps, dtype=began.dtype))

    def _join(self, rows: Tensor, start: Tensor, end: Tensor, steps: int) -> Tensor:
        generator = torch.Generator()
        if not self.random:
            return self._interpolate(start, end, generator, steps)
        parts = []
        for i, row in enumerate(rows.tolist()):
            generator.manual_seed(row_seed(self.seed, row))
            parts.append(self._interpolate(start[i : i + 1], end[i : i + 1], generator, steps))
        return torch.cat(parts)

    def _interpolate(self, start: Tensor, end: Tensor, generator: torch.Generator, steps: int) -> Tensor:
        options = {} if self._curves else self.options
        points: Tensor = interpolate(
            start, end, method=self._joined_by, base=self.base, steps=steps, generator=generator, **options
        )
        return points
