"""Figures, the printed table and the self-contained HTML pages of evaluations. Needs the extra `train`."""

from .page import write_report
from .points import ModelShown, PathShown, PointsPage, density_shade, write_points_report
from .strips import image_grid, strip
from .table import print_table

__all__ = [
    "ModelShown",
    "PathShown",
    "PointsPage",
    "density_shade",
    "image_grid",
    "print_table",
    "strip",
    "write_points_report",
    "write_report",
]
