"""Bayesian inference with latents on manifolds, in Pyro: sites, kernels, guides and diagnostics."""

from .diagnostics import (
    CredibleCap,
    DirectionSummary,
    credible_cap,
    direction_ess,
    direction_rhat,
    in_highest_density,
    summarize_directions,
    to_arviz,
)
from .flow_guide import AutoManifoldFlow
from .guides import AutoDirichlet, AutoVonMisesFisher, GuideQuality, guide_quality
from .hmc import GeodesicHMC
from .nuts import GeodesicNUTS
from .onto import Onto, onto
from .reparam import AutoReparam, Lifted, ManifoldReparam, SphereReparam, auto_reparam, sites, space_of

__all__ = [
    "AutoDirichlet",
    "AutoManifoldFlow",
    "AutoReparam",
    "AutoVonMisesFisher",
    "CredibleCap",
    "DirectionSummary",
    "GeodesicHMC",
    "GeodesicNUTS",
    "GuideQuality",
    "Lifted",
    "ManifoldReparam",
    "Onto",
    "SphereReparam",
    "auto_reparam",
    "credible_cap",
    "direction_ess",
    "direction_rhat",
    "guide_quality",
    "in_highest_density",
    "onto",
    "sites",
    "space_of",
    "summarize_directions",
    "to_arviz",
]
