"""The method `optimised` for a trained flow: shortest paths that stay typical of its base."""

from typing import Any

import torch
from torch import Tensor

from ..interpolation import CurveEnergy, Matched, SobolevDescent, Status, optimise, realism_energy
from ..realism import TwoSidedIndex, density_index

__all__ = ["optimised_points", "typicality_energy"]

# The optimum lies on the kink of 2 min(F, 1 - F), where the last per cent takes hundreds of steps.
_SOLVER = SobolevDescent(tolerance=1e-3, max_iterations=100)
_SEGMENTS = 30


def typicality_energy(base: Any, *, seed: int, eps: float = 0.1) -> CurveEnergy:
    """The realism energy of paths on the base's manifold, measured there (the decoder is the identity).

    The index is the two-sided typicality 2 min(F, 1 - F) of the base's log-density, F from 10,000 draws, squeezed into
    [eps, 1 - eps]: a path that is more probable than draws are costs as much as one that is less so. Through an
    invertible flow every image has one latent, so the path is one of images too; distances between images do not
    count.

    Args:
        base: A base distribution of the library, with its manifold.
        seed: Of the draws.
        eps: In (0, 1/2].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        index = TwoSidedIndex(density_index(base))
    return realism_energy(index.regularised(eps), space=base.manifold, pieces=2)


def optimised_points(
    energy: CurveEnergy, base: Any, start: Tensor, end: Tensor, *, steps: int, generator: torch.Generator | None
) -> Tensor:
    """Points `(pairs, steps, n)` of optimised paths between points `(pairs, n)`.

    They start from the matched path: the geodesic's middle is so far from typical that the index is flat there.

    Raises:
        KeyboardInterrupt: The solver was interrupted.
    """
    matched = Matched(base, start, end, generator=generator)
    path = optimise(energy, start, end, segments=_SEGMENTS, starts=matched, solver=_SOLVER)
    if bool((path.solution.status == Status.INTERRUPTED).any()):
        raise KeyboardInterrupt("interrupted; nothing was written")
    return path(torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device))
