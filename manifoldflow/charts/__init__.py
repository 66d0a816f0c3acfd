"""Charts: z in R^d to points on a manifold and back, with the log-volume."""

from .chart import Chart, Identity, default_chart
from .open_simplex import AdditiveLogRatio, IsometricLogRatio, SimplexChart, SimplexConstraint, StickBreaking
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
