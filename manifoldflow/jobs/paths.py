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
from ..interpolation import METHODS, interpolate, methods_for
from .optimised import OPTIMISED, RealismCurves

__all__ = ["JobPaths", "row_seed"]


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
        method: A method that suits the base, or "optimised", which starts from matched paths; see `RealismCurves`.
        steps: Number of times m, both ends included.
        seed: Of the random methods' noise, and of the draws behind the index of "optimised".
        options: Of the method, as its class takes them; for "optimised" those of `OPTIMISED`.

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
        self._joined_by = "matched" if self.method == "optimised" else self.method
        # The Gamma totals of matched paths under a Dirichlet are random too.
        of_gammas = self._joined_by == "matched" and isinstance(self.base, Dirichlet)
        self.random = METHODS[self.method].random or of_gammas
        self._curves: RealismCurves | None = None
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            try:
                if self.method == "optimised":
                    self._curves = RealismCurves(flow, self.base, **{**OPTIMISED, **self.options})
                elif self.options:
                    trial = self.base.sample((2,))
                    self._interpolate(trial[:1], trial[1:], torch.Generator(), steps)
            except (TypeError, ValueError) as error:
                raise DataError(f"option: the method {self.method} does not take {self.options}: {error}") from error

    @property
    def solved(self) -> tuple[str, ...]:
        """What the method says of each row beside the points; see `interpolation.Solution`."""
        return ("energy", "length", "realism", "iterations", "status") if self.method == "optimised" else ()

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
