"""The simplex of three shares as a ternary plot, with ticks and labels."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import (
    DENSITY_MAP,
    Drawing,
    as_points,
    density_at,
    own_axes,
    path_labels,
    path_style,
    point_style,
    polylines,
    shade,
)

__all__ = ["plot_simplex"]

_HEIGHT = math.sqrt(3) / 2
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, _HEIGHT]])
_TICKS = (0.2, 0.4, 0.6, 0.8)
_PIXELS = 320


def plot_simplex(
    points: Any = None,
    *,
    density: Any = None,
    paths: Any = None,
    names: tuple[str, str, str] = ("$s_1$", "$s_2$", "$s_3$"),
    labels: list[str] | None = None,
    colorbar: bool = False,
    ax: Axes | None = None,
    **scatter: Any,
) -> Drawing:
    """Draw compositions of three parts in a triangle.

    A corner is all of one part, the opposite side none of it. The first part is read along the lower side from right to
    left, the second along the right side from top to bottom, the third along the left side from bottom to top.

    Args:
        points: Compositions `(*batch, 3)` of sum 1.
        density: A distribution on the simplex, or a function from compositions `(m, 3)` to log densities `(m,)` with
            respect to Lebesgue measure on the first two parts; drawn as a filled map. Colours end at the 99.5 %
            quantile of the pixels, since a density may be infinite on the sides.
        paths: Compositions `(*batch, m, 3)`, or a sequence of such arrays.
        names: What the three parts are.
        labels: A label for each path, for `ax.legend()`.
        colorbar: Add a colour bar for the density.
        ax: Axes to draw on; new ones by default.
        scatter: Passed on to matplotlib's `scatter` of the points.

    Returns:
        What was drawn.

    Raises:
        ValueError: Points of another shape, off the simplex, or axes of another projection.
        TypeError: Points that are not numbers, or a density that cannot be evaluated.

    Example:
        >>> plot_simplex(torch.tensor([[0.2, 0.3, 0.5]]))
        Drawing(1 sets of points, no density, 0 lines of paths)
    """
    drawing = Drawing(own_axes(ax, None, (5.4, 5.0)))
    ax = drawing.ax
    if density is not None:
        _fill(drawing, density)
    _frame(drawing, names)
    if points is not None:
        places = _flat("points", as_points("points", points, 3, 1)).reshape(-1, 2)
        drawing.points.append(ax.scatter(*places.T, zorder=3, **point_style(scatter)))
    lines = [] if paths is None else polylines(paths, 3)
    for number, (label, line) in enumerate(zip(path_labels(labels, len(lines)), lines)):
        drawing.paths += ax.plot(
            *_flat("paths", line).T,
            zorder=4,
            label=label,
            **path_style(number),
        )
    if colorbar:
        drawing.add_colorbar("density", shrink=0.6, extend="max")
    return drawing


def _flat(name: str, compositions: np.ndarray) -> np.ndarray:
    """Places in the plane `(..., 2)`."""
    off = (np.abs(compositions.sum(-1) - 1) > 1e-3) | (compositions < -1e-6).any(-1)
    if off.any():
        row = compositions[off].reshape(-1, 3)[0]
        raise ValueError(
            f"{name}: expected shares that are not negative and add up to 1, got {row.tolist()}; "
            "divide each row by its sum first"
        )
    return compositions @ _CORNERS


def _fill(drawing: Drawing, density: Any) -> None:
    x = (np.arange(_PIXELS) + 0.5) / _PIXELS
    y = x * _HEIGHT
    across, up = np.meshgrid(x, y)
    third = up / _HEIGHT
    second = across - third / 2
    shares = np.stack([1 - second - third, second, third], axis=-1)
    inside = (shares > 0).all(-1)
    values = np.full(across.shape, np.nan)
    values[inside] = density_at(density, shares[inside])
    top = float(np.quantile(values[inside], 0.995))
    drawing.density = drawing.ax.imshow(
        values, extent=(0, 1, 0, _HEIGHT), origin="lower", cmap=DENSITY_MAP, vmin=0, vmax=top or None, zorder=0
    )


def _frame(drawing: Drawing, names: tuple[str, str, str]) -> None:
    """Outline, grid, ticks and names; the numbers lean along the grid lines that they belong to."""
    ax = drawing.ax
    drawing.background += ax.plot(*_CORNERS[[0, 1, 2, 0]].T, color=shade(0.75), linewidth=1.2, zorder=2)
    # Of each part: its corner, the corner where its tick marks start from none of it, and where the numbers go.
    sides = ((0, 1, 2, (0.02, -0.035), -60), (1, 2, 0, (0.02, 0.035), 60), (2, 0, 1, (-0.04, 0.0), 0))
    for full, empty, other, shift, angle in sides:
        for share in _TICKS:
            start = share * _CORNERS[full] + (1 - share) * _CORNERS[empty]
            end = share * _CORNERS[full] + (1 - share) * _CORNERS[other]
            drawing.background += ax.plot(*np.stack([start, end]).T, color=shade(0.4), linewidth=0.4, zorder=1)
            x, y = start + shift
            drawing.background.append(
                ax.text(
                    x,
                    y,
                    f"{share:.1f}",
                    fontsize=8,
                    color=shade(0.7),
                    ha="center",
                    va="center",
                    rotation=angle,
                )
            )
    for (full, empty, _, _, _), angle, push in zip(sides, (0, -60, 60), ((0, -0.12), (0.11, 0.065), (-0.11, 0.065))):
        middle = (_CORNERS[full] + _CORNERS[empty]) / 2 + push
        text = f"← {names[full]}" if full == 0 else f"{names[full]} →"  # the way the part grows
        drawing.background.append(
            ax.text(
                middle[0],
                middle[1],
                text,
                fontsize=10,
                ha="center",
                va="center",
                rotation=angle,
                rotation_mode="anchor",
            )
        )
    ax.set(aspect="equal", xlim=(-0.16, 1.16), ylim=(-0.16, _HEIGHT + 0.1))
    ax.set_axis_off()
