"""Base distributions: Pyro distributions on manifolds, and their laws in the coordinates of a chart."""

from . import kl
from .angle import VonMisesFisherAngle
from .base import BaseDistribution
from .dirichlet import Dirichlet
from .gaussian import Gaussian
from .in_chart import InChart
from .power_spherical import PowerSpherical
from .spherical_uniform import SphericalUniform
from .von_mises_fisher import VonMisesFisher
from .wrapped_normal import WrappedNormal

__all__ = [
    "BaseDistribution",
    "Dirichlet",
    "Gaussian",
    "InChart",
    "PowerSpherical",
    "SphericalUniform",
    "VonMisesFisher",
    "VonMisesFisherAngle",
    "WrappedNormal",
    "kl",
]
