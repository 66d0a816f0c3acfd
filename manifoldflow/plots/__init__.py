"""Figures that users call: the globe, the torus, the ternary plot, and quantities along a path.

The room needs the extra `plots`. Every function draws on `ax=...` or on new axes and returns a `Drawing`: what it drew,
by subject.
"""

from .profile import plot_path
from .sphere import plot_sphere
from .style import Drawing
from .ternary import plot_simplex
from .torus import plot_torus

__all__ = ["Drawing", "plot_path", "plot_simplex", "plot_sphere", "plot_torus"]
