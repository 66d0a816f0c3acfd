"""Flow matching on any space with exp and log: train by regression, draw and score by a differential equation."""

from .bent import BentPath
from .couplings import COUPLINGS, optimal_transport
from .fields import VectorField
from .integrate import Solution, Solver
from .matching import FlowMatching
from .paths import cut_locus, geodesic_path
from .rotations import rotation_exp, rotation_log

__all__ = [
    "COUPLINGS",
    "BentPath",
    "FlowMatching",
    "Solution",
    "Solver",
    "VectorField",
    "cut_locus",
    "geodesic_path",
    "optimal_transport",
    "rotation_exp",
    "rotation_log",
]
