"""Functions that torch lacks, in float64 inside: Bessel functions, normalisers, incomplete gammas and log tails."""

from .bessel import (
    log_sphere_area,
    vmf_concentration,
    vmf_divergence,
    vmf_log_partition,
    vmf_log_peak,
    vmf_mean_length,
    vmf_mean_length_complement,
    vmf_mean_length_derivative,
    vmf_transverse_variance,
)
from .fisher_bingham import (
    fisher_bingham_log_partition,
    fisher_bingham_moments,
    watson_log_partition,
    watson_moments,
)
from .incomplete_gamma import gammainccinv, gammaincinv, log_gammainc, log_gammaincc
from .log_tails import log1mexp, log_ndtri
from .series import digamma_difference, log_gamma_ratio
from .stirling import bregman_entropy, log1p_excess, stirling, stirling_divergence, stirling_slope

__all__ = [
    "fisher_bingham_log_partition",
    "fisher_bingham_moments",
    "watson_log_partition",
    "watson_moments",
    "bregman_entropy",
    "log1p_excess",
    "stirling",
    "stirling_divergence",
    "stirling_slope",
    "gammainccinv",
    "gammaincinv",
    "log1mexp",
    "log_gammainc",
    "log_gammaincc",
    "log_ndtri",
    "log_sphere_area",
    "vmf_divergence",
    "vmf_log_partition",
    "vmf_log_peak",
    "vmf_mean_length",
    "vmf_mean_length_complement",
    "vmf_mean_length_derivative",
    "vmf_transverse_variance",
    "vmf_concentration",
    "digamma_difference",
    "log_gamma_ratio",
]
