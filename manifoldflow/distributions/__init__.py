"""Base distributions: Pyro distributions on manifolds, and their laws in the coordinates of a chart."""

from .base import BaseDistribution
from .dirichlet import Dirichlet
from .gaussian import Gaussian
from .in_chart import InChart
from .von_mises_fisher import VonMisesFisher

__all__ = ["BaseDistribution", "Dirichlet", "Gaussian", "InChart", "VonMisesFisher"]
