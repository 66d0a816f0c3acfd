"""Paths between latents: callables of time that stay where a base distribution is typical."""

from .bridge import Bridge
from .gaussian_bridge import GaussianProcessBridge, GaussianProcessWalk
from .gaussian_process import GaussianProcessPaths
from .geodesic import Geodesic
from .kernels import ExponentialPower, Kernel, Matern, OrnsteinUhlenbeck, Periodic, SquaredExponential
from .linear import Linear, NormCorrected
from .path import ConstantSpeed, Path
from .polyline import Polyline
from .registry import METHODS, Method, build_path, interpolate
from .spherical import Slerp

__all__ = [
    "METHODS",
    "Bridge",
    "ExponentialPower",
    "GaussianProcessBridge",
    "GaussianProcessPaths",
    "GaussianProcessWalk",
    "Kernel",
    "Matern",
    "OrnsteinUhlenbeck",
    "Periodic",
    "Polyline",
    "SquaredExponential",
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
