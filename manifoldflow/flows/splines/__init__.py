"""One-pass flows of data on manifolds: layers with value, log-volume and inverse in closed form."""

from .layers import Layer, LayeredFlow
from .moebius import MoebiusMixture
from .rational_quadratic import RationalQuadratic

__all__ = ["Layer", "LayeredFlow", "MoebiusMixture", "RationalQuadratic"]
