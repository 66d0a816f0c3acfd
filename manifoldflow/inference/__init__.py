"""Bayesian inference with latents on manifolds, in Pyro: sites, kernels, guides and diagnostics."""

from .guides import AutoDirichlet, AutoVonMisesFisher, GuideQuality, guide_quality
from .hmc import GeodesicHMC
from .nuts import GeodesicNUTS
from .onto import Onto, onto
from .reparam import AutoReparam, Lifted, ManifoldReparam, SphereReparam, auto_reparam, sites, space_of

__all__ = [
    "AutoDirichlet",
    "AutoReparam",
    "AutoVonMisesFisher",
    "GeodesicHMC",
    "GeodesicNUTS",
    "GuideQuality",
    "Lifted",
    "ManifoldReparam",
    "Onto",
    "SphereReparam",
    "auto_reparam",
    "guide_quality",
    "onto",
    "sites",
    "space_of",
]
