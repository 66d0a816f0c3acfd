"""Figures that users call: the globe, the torus, the ternary plot, and quantities along a path.

The room needs the extra `plots`. Every function draws on `ax=...` or on new axes and returns a `Drawing`: what it drew,
by subject; `theme("dark")` draws for dark pages.
"""

from .profile import plot_path
from .sphere import plot_sphere
from .style import Drawing, theme
from .ternary import plot_simplex
from .torus import plot_torus

__all__ = ["Drawing", "plot_path", "plot_simplex", "plot_sphere", "plot_torus", "theme"]
