"""The page about points on a manifold: what it shows, and how it is written."""

from .contents import ModelShown, PathShown, PointsPage
from .shade import density_shade
from .writing import write_points_report

__all__ = ["ModelShown", "PathShown", "PointsPage", "density_shade", "write_points_report"]
