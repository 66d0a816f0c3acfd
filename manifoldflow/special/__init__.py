"""Functions that torch lacks, in float64 inside: Bessel functions, incomplete gammas and log tails."""

from .incomplete_gamma import gammainccinv, gammaincinv, log_gammainc, log_gammaincc
from .log_tails import log1mexp, log_ndtri

__all__ = [
    "gammainccinv",
    "gammaincinv",
    "log1mexp",
    "log_gammainc",
    "log_gammaincc",
    "log_ndtri",
]
