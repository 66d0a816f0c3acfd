"""Charts: z in R^d to points on a manifold and back, with the log-volume."""

from .chart import Chart, Identity
from .constraints import Simplex as SimplexConstraint
from .defaults import default_chart
from .simplex import AdditiveLogRatio, IsometricLogRatio, SimplexChart, StickBreaking
from .stereographic import Stereographic

__all__ = [
    "AdditiveLogRatio",
    "Chart",
    "Identity",
    "IsometricLogRatio",
    "SimplexChart",
    "SimplexConstraint",
    "Stereographic",
    "StickBreaking",
    "default_chart",
]
