"""Paths between latents: callables of time that stay where a base distribution is typical."""

from ..distributions.laws import lift_of
from ..distributions.lifts import Coordinates, Lift
from .bridges.bridge import Bridge
from .bridges.gaussian_process import GaussianProcessBridge, GaussianProcessPaths, GaussianProcessWalk
from .bridges.kernels import ExponentialPower, Kernel, Matern, OrnsteinUhlenbeck, Periodic, SquaredExponential
from .bridges.langevin import LangevinBridge
from .bridges.simulated import SimulatedBridge, WeightedPaths
from .bridges.sphere_bridge import SphereBrownianBridge
from .bridges.typical_bridge import TypicalBridge
from .curves.conformal import Conformal, energy_based, inverse_density, radial_basis, realism_cost
from .curves.descent import SobolevDescent
from .curves.energy import CurveEnergy, Segments, isometric, realism_energy
from .curves.optimised import OptimisedPath, optimise
from .curves.recipe import AdamStraightening
from .curves.solution import Solution, Status, Trace
from .curves.starts import GraphStart, multi_start
from .curves.typical import typicality_energy
from .methods import METHODS, Method, build_path, interpolate, interpolate_all, methods_for
from .paths.combination import combine, frechet_combine, grid, subspace
from .paths.geodesic import Geodesic
from .paths.great_circle import Slerp
from .paths.lines import Linear, NormCorrected
from .paths.matched import Matched
from .paths.path import ConstantSpeed, Path, Polyline
from .paths.storage import load_path, save_path
from .paths.transport import CauchyLinear, OptimalTransport, SphericalCauchy

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
    "typicality_energy",
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
