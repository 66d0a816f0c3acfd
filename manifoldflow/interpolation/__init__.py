"""Paths between latents: callables of time that stay where a base distribution is typical."""

from .geodesic import Geodesic
from .linear import Linear, NormCorrected
from .path import ConstantSpeed, Path
from .registry import METHODS, Method, build_path, interpolate
from .spherical import Slerp

__all__ = [
    "METHODS",
    "ConstantSpeed",
    "Geodesic",
    "Linear",
    "Method",
    "NormCorrected",
    "Path",
    "Slerp",
    "build_path",
    "interpolate",
]
