"""One-pass flows of data on manifolds: layers with value, log-volume and inverse in closed form."""

from .euclidean_flow import EuclideanFlow, SimplexFlow
from .layers import Layer, LayeredFlow
from .moebius import MoebiusMixture
from .product_flow import ProductFlow, flow_on
from .rational_quadratic import RationalQuadratic
from .sphere_flow import SphereFlow
from .torus_flow import CircleFlow, TorusFlow

__all__ = [
    "CircleFlow",
    "EuclideanFlow",
    "Layer",
    "LayeredFlow",
    "MoebiusMixture",
    "ProductFlow",
    "RationalQuadratic",
    "SimplexFlow",
    "SphereFlow",
    "TorusFlow",
    "flow_on",
]
