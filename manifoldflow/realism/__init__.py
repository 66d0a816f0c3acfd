"""Realism indices: how plausible a point is, as the share of the model's samples that are no more so."""

from .curves import mirrored, plane_coordinates, plane_points
from .density import DensityIndex, density_index
from .feature import ClassifierIndex, FeatureDensity, feature_index
from .index import CallableIndex, Index, RegularisedIndex, StandardNormalIndex, TwoSidedIndex
from .priors import PlanarMixture, c_rings, semicircle, spiral, two_moons
from .typicality import angular_speed, log_density_law, log_density_z, typicality

__all__ = [
    "CallableIndex",
    "ClassifierIndex",
    "DensityIndex",
    "FeatureDensity",
    "Index",
    "PlanarMixture",
    "RegularisedIndex",
    "StandardNormalIndex",
    "TwoSidedIndex",
    "c_rings",
    "density_index",
    "feature_index",
    "mirrored",
    "plane_coordinates",
    "plane_points",
    "semicircle",
    "spiral",
    "two_moons",
    "angular_speed",
    "log_density_law",
    "log_density_z",
    "typicality",
]
