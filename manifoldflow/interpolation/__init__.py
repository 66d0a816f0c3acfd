"""Paths between latents: callables of time that stay where a base distribution is typical."""

from .bridge import Bridge
from .combination import combine, frechet_combine, grid, subspace
from .conformal import Conformal, energy_based, inverse_density, radial_basis, realism_cost
from .decoding import isometric
from .energy import CurveEnergy, Segments, realism_energy
from .gaussian_bridge import GaussianProcessBridge, GaussianProcessWalk
from .gaussian_process import GaussianProcessPaths
from .geodesic import Geodesic
from .graph_start import GraphStart, multi_start
from .kernels import ExponentialPower, Kernel, Matern, OrnsteinUhlenbeck, Periodic, SquaredExponential
from .langevin import LangevinBridge
from .lifts import Coordinates, Lift, lift_of
from .linear import Linear, NormCorrected
from .marginals import CauchyLinear, OptimalTransport, SphericalCauchy
from .matched import Matched
from .optimised import OptimisedPath, optimise
from .path import ConstantSpeed, Path
from .polyline import Polyline
from .registry import METHODS, Method, build_path, interpolate, interpolate_all, methods_for
from .simulated import SimulatedBridge, WeightedPaths
from .solution import Solution, Status, Trace
from .solver import SobolevDescent
from .solver_recipe import AdamStraightening
from .sphere_bridge import SphereBrownianBridge
from .spherical import Slerp
from .storage import load_path, save_path
from .typical_bridge import TypicalBridge

__all__ = [
    # The interface
    "METHODS",
    "Method",
    "Path",
    "ConstantSpeed",
    "Polyline",
    "build_path",
    "interpolate",
    "interpolate_all",
    "load_path",
    "methods_for",
    "save_path",
    # Paths between two points
    "CauchyLinear",
    "Geodesic",
    "Linear",
    "Matched",
    "NormCorrected",
    "OptimalTransport",
    "Slerp",
    "SphericalCauchy",
    # Combinations of n points
    "Coordinates",
    "Lift",
    "combine",
    "frechet_combine",
    "grid",
    "lift_of",
    "subspace",
    # Bridges
    "Bridge",
    "ExponentialPower",
    "GaussianProcessBridge",
    "GaussianProcessPaths",
    "GaussianProcessWalk",
    "Kernel",
    "LangevinBridge",
    "Matern",
    "OrnsteinUhlenbeck",
    "Periodic",
    "SimulatedBridge",
    "SphereBrownianBridge",
    "SquaredExponential",
    "TypicalBridge",
    "WeightedPaths",
    # Optimised paths
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
    "multi_start",
    "OptimisedPath",
    "optimise",
    "Solution",
    "Status",
    "Trace",
    "SobolevDescent",
    "AdamStraightening",
]
