"""Base distributions: Pyro distributions on manifolds, and their laws in the coordinates of a chart."""

from . import kl
from .base import BaseDistribution
from .composed.ensemble import Ensemble, mix_densities
from .composed.joint import Joint
from .dirichlet import Dirichlet
from .gaussian import Gaussian
from .in_chart import InChart
from .kernel.kernel_density import KernelDensity
from .laws import Law, LogDensityLaw, Statistic, law_of
from .mixtures.mixture import Fitting, Mixture, fit_mixture
from .spherical.angle import VonMisesFisherAngle
from .spherical.angular_central_gaussian import AngularCentralGaussian
from .spherical.axial import Bingham, Watson
from .spherical.fisher_bingham import FisherBingham
from .spherical.kent import Kent
from .spherical.power_spherical import PowerSpherical
from .spherical.spherical_uniform import SphericalUniform
from .spherical.von_mises_fisher import VonMisesFisher
from .torus import VonMises
from .wrapped_normal import WrappedNormal

__all__ = [
    "AngularCentralGaussian",
    "BaseDistribution",
    "Bingham",
    "Dirichlet",
    "Ensemble",
    "FisherBingham",
    "Fitting",
    "Gaussian",
    "InChart",
    "Joint",
    "KernelDensity",
    "Kent",
    "Law",
    "LogDensityLaw",
    "Mixture",
    "PowerSpherical",
    "SphericalUniform",
    "Statistic",
    "VonMises",
    "VonMisesFisher",
    "VonMisesFisherAngle",
    "Watson",
    "WrappedNormal",
    "fit_mixture",
    "kl",
    "law_of",
    "mix_densities",
]
