"""Figures, the printed table and the self-contained HTML page of an evaluation. Needs the extra `train`."""

from .console import print_table
from .page import write_report
from .strips import image_grid, strip

__all__ = ["image_grid", "print_table", "strip", "write_report"]
