"""Paths between latents: callables of time that stay where a base distribution is typical."""

from .bridge import Bridge
from .conformal import Conformal, energy_based, inverse_density, radial_basis, realism_cost
from .decoding import isometric
from .energy import CurveEnergy, Segments, realism_energy
from .gaussian_bridge import GaussianProcessBridge, GaussianProcessWalk
from .gaussian_process import GaussianProcessPaths
from .geodesic import Geodesic
from .graph_start import GraphStart
from .kernels import ExponentialPower, Kernel, Matern, OrnsteinUhlenbeck, Periodic, SquaredExponential
from .linear import Linear, NormCorrected
from .optimised import OptimisedPath, optimise
from .path import ConstantSpeed, Path
from .polyline import Polyline
from .registry import METHODS, Method, build_path, interpolate
from .solution import Solution, Status, Trace
from .solver import SobolevDescent
from .solver_recipe import AdamStraightening
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
    "Conformal",
    "energy_based",
    "inverse_density",
    "radial_basis",
    "realism_cost",
    "isometric",
    "CurveEnergy",
    "Segments",
    "realism_energy",
    "GraphStart",
    "OptimisedPath",
    "optimise",
    "Solution",
    "Status",
    "Trace",
    "SobolevDescent",
    "AdamStraightening",
]
