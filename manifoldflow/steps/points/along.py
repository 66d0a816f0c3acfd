"""Paths that keep to where the data are: the recipe that the steps and the picture of the globe share."""

import warnings

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...distributions import KernelDensity
from ...distributions.kernel.space_kernels import has_uniform
from ...interpolation import CurveEnergy, GraphStart, OptimisedPath, SobolevDescent, optimise, realism_energy
from ...manifolds import broadcasting
from ...realism import density_index

__all__ = ["density_energy", "path_along_data", "smooth_density"]

_SAMPLES = 1000
"""Points that the search for a start goes through."""
_NEIGHBOURS = 12
_DRAWS = 4000
_SEGMENTS = 48
_SOLVER = SobolevDescent(tolerance=1e-3, memory=20)
"""A valley between sparse and dense places has steep sides: 20 steps know its direction. Nothing finer is seen."""
_NARROWEST = 0.05
_MANY = 2000
"""Points of which not all pairs are added up for a width."""
_UNIFORM = 0.01
"""Of the uniform law: far from all data the density still has a slope, and no logarithm of zero."""


def density_energy(density: KernelDensity) -> CurveEnergy:
    """The realism energy of curves on the space of a density, by its index: little where the data are dense.

    Randomness is torch's. Reference: arXiv 1904.03445.
    """
    return realism_energy(density_index(density, samples=_DRAWS), space=density.space, pieces=2)


def path_along_data(energy: CurveEnergy, data: Tensor, start: Tensor, end: Tensor) -> OptimisedPath:
    """The paths of least energy, found from the cheapest ways from data point to data point.

    Args:
        energy: Such as `density_energy` gives.
        data: Points `(m, n)`; of more than 1000, so many are drawn.
        start, end: Points `(pairs, n)`.
    """
    chosen = data[torch.randperm(len(data))[:_SAMPLES]]
    starts = GraphStart(energy, chosen, neighbours=min(_NEIGHBOURS, len(chosen) - 1))
    return optimise(energy, start, end, segments=_SEGMENTS, starts=starts, solver=_SOLVER, progress=False)


def smooth_density(points: Tensor, space: Manifold, width: float | None = None) -> KernelDensity:
    """A kernel density without spikes where points are copies of each other.

    Args:
        points: `(m, n)`.
        space: Where they live.
        width: Of the kernels; if None the likeliest, and at least a twentieth of the median distance of two points:
            where many points are copies, the likeliest is as small as one allows.
    """
    if width is None:
        half = len(points) // 2
        apart = float(broadcasting(space.metric).dist(points[:half], points[half : 2 * half]).median())
        width = max(_likeliest(points, space), _NARROWEST * apart)
    different, counts = points.unique(dim=0, return_counts=True)
    share = _UNIFORM if has_uniform(space) else 0.0
    return KernelDensity(different, width, space=space, weights=counts.to(points), uniform_share=share)


def _likeliest(points: Tensor, space: Manifold) -> float:
    """The width under which points are most probable given the others; of many, every eighth given the rest."""
    held_out = None
    if len(points) > _MANY:
        apart = torch.arange(len(points)) % 8 == 0
        points, held_out = points[~apart], points[apart]
    with warnings.catch_warnings():  # of copies: the caller knows
        warnings.simplefilter("ignore")
        return float(KernelDensity.fit(points, space=space, held_out=held_out).bandwidth[0])
