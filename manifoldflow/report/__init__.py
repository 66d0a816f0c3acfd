"""Figures, the printed table and the self-contained HTML page of an evaluation. Needs the extra `train`."""

from .page import write_report
from .strips import image_grid, strip
from .table import print_table

__all__ = ["image_grid", "print_table", "strip", "write_report"]
