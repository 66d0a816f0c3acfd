"""Normalizing flows: learned transforms, and their union with a chart and a base distribution."""

from .bases import BASES, make_base
from .build import FlowDescription, build_flow
from .flow import FlowTransform, ManifoldFlow, call_and_ladj
from .glow import PREPROCESSING, Centred, Glow, Logit, Preprocessed
from .zuko import ZukoTransform

__all__ = [
    "BASES",
    "PREPROCESSING",
    "Centred",
    "FlowDescription",
    "FlowTransform",
    "Glow",
    "Logit",
    "ManifoldFlow",
    "Preprocessed",
    "ZukoTransform",
    "build_flow",
    "call_and_ladj",
    "make_base",
]
