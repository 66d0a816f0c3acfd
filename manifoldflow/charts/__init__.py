"""Charts: z in R^d to points on a manifold and back, with the log-volume."""

from .chart import Chart, Identity
from .simplex import AdditiveLogRatio, IsometricLogRatio, SimplexChart, StickBreaking
from .stereographic import Stereographic

__all__ = [
    "AdditiveLogRatio",
    "Chart",
    "Identity",
    "IsometricLogRatio",
    "SimplexChart",
    "Stereographic",
    "StickBreaking",
]
