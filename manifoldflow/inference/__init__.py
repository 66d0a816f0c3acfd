"""Bayesian inference with latents on manifolds, in Pyro: sites, kernels, guides and diagnostics."""

from .hmc import GeodesicHMC
from .nuts import GeodesicNUTS
from .onto import Onto, onto
from .reparam import AutoReparam, Lifted, ManifoldReparam, SphereReparam, auto_reparam, sites, space_of

__all__ = [
    "AutoReparam",
    "GeodesicHMC",
    "GeodesicNUTS",
    "Lifted",
    "ManifoldReparam",
    "Onto",
    "SphereReparam",
    "auto_reparam",
    "onto",
    "sites",
    "space_of",
]
