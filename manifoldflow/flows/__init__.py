"""Normalizing flows: learned transforms with a chart and a base distribution, and flows of data on manifolds."""

from . import laws  # noqa: F401 (what is known of the law of a flow)
from .bases import BASES, make_base
from .build import FlowDescription, build_flow
from .flow import FlowTransform, ManifoldFlow, call_and_ladj
from .glow import PREPROCESSING, Centred, Glow, Logit, Preprocessed
from .interface import Flow, FlowDistribution, default_base
from .matching import BentPath, FlowMatching, Solver, VectorField
from .splines import (
    CircleFlow,
    EuclideanFlow,
    Layer,
    LayeredFlow,
    MoebiusMixture,
    ProductFlow,
    RationalQuadratic,
    SimplexFlow,
    SphereFlow,
    TorusFlow,
    flow_on,
)
from .zuko import ZukoTransform

__all__ = [
    "BASES",
    "PREPROCESSING",
    "BentPath",
    "Centred",
    "CircleFlow",
    "EuclideanFlow",
    "Flow",
    "FlowDescription",
    "FlowDistribution",
    "FlowMatching",
    "FlowTransform",
    "Glow",
    "Layer",
    "LayeredFlow",
    "Logit",
    "ManifoldFlow",
    "MoebiusMixture",
    "Preprocessed",
    "ProductFlow",
    "RationalQuadratic",
    "SimplexFlow",
    "Solver",
    "SphereFlow",
    "TorusFlow",
    "VectorField",
    "ZukoTransform",
    "build_flow",
    "call_and_ladj",
    "default_base",
    "flow_on",
    "make_base",
]
