"""Realism indices: how plausible a point is, as the share of the model's samples that are no more so."""

from .density import DensityIndex, density_index
from .index import CallableIndex, Index, RegularisedIndex, StandardNormalIndex, TwoSidedIndex
from .priors import PlanarMixture, c_rings, semicircle, spiral, two_moons

__all__ = [
    "CallableIndex",
    "DensityIndex",
    "Index",
    "PlanarMixture",
    "RegularisedIndex",
    "StandardNormalIndex",
    "TwoSidedIndex",
    "c_rings",
    "density_index",
    "semicircle",
    "spiral",
    "two_moons",
]
