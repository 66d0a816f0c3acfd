"""One-pass flows of data on manifolds: layers with value, log-volume and inverse in closed form."""

from .layers import Layer, LayeredFlow
from .moebius import MoebiusMixture
from .rational_quadratic import RationalQuadratic
from .sphere_flow import SphereFlow
from .torus_flow import CircleFlow, TorusFlow

__all__ = ["CircleFlow", "Layer", "LayeredFlow", "MoebiusMixture", "RationalQuadratic", "SphereFlow", "TorusFlow"]
