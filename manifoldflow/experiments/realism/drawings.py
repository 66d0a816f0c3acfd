"""Figures of the realism experiment: strips, profiles, the plane of the ends, step lengths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ...files import atomic_path
from ...plots.style import figure_with_axes, line_style
from ...report.strips import image_grid

__all__ = ["plane_figure", "profile_figure", "rows_figure", "save_figure", "steps_figure"]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=140, format="png")


def rows_figure(title: str, rows: Tensor, labels: Sequence[str], columns: Sequence[str]) -> Figure:
    """Rows of images with a label at the left of each.

    Args:
        title: Above them.
        rows: `(rows, m, c, h, w)` in [0, 1].
        labels: One for each row.
        columns: Names below the first, middle and last column; none for no names.
    """
    count, m = rows.shape[:2]
    picture = np.asarray(image_grid((255 * rows.flatten(0, 1)).round().byte(), 256, columns=m))
    scale = 0.55 * m / picture.shape[1]
    figure = Figure(figsize=(0.55 * m + 1.1, picture.shape[0] * scale + 0.7), layout="constrained")
    ax = figure.subplots()
    ax.imshow(picture, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_yticks((np.arange(count) + 0.5) * picture.shape[0] / count, labels, fontsize=7)
    places = (np.array([0, m // 2, m - 1]) + 0.5) * picture.shape[1] / m
    ax.set_xticks(places[: len(columns)], columns, fontsize=7)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def profile_figure(times: Tensor, curves: dict[str, Tensor]) -> Figure:
    """Figure 1: the realism index along paths, mean and 10 to 90 % over pairs, `(pairs, m)` a curve."""
    figure, (ax,) = figure_with_axes(5.2, 3.2)
    for number, (name, values) in enumerate(curves.items()):
        style = {**line_style(number), "marker": ""}
        low, high = values.quantile(0.1, 0), values.quantile(0.9, 0)
        ax.fill_between(times, low, high, color=style["color"], alpha=0.2, linewidth=0)
        ax.plot(times, values.mean(0), label=name, **style)
    ax.set(xlabel="path time t", ylabel="realism index", xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title("mean and 10 to 90 % of the pairs", fontsize=9)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def plane_figure(reach: Tensor, density: Tensor, path: Tensor) -> Figure:
    """Figure 6: a path projected onto the plane of its ends (equation 27), over the log-density in that plane.

    Args:
        reach: Coordinates of the grid `(g,)`.
        density: Log-densities `(g, g)`, rows y.
        path: Plane coordinates `(m, 2)`.
    """
    figure = Figure(figsize=(5.0, 4.2), layout="constrained")
    ax = figure.subplots()
    levels = np.linspace(float(density.quantile(0.2)), float(density.max()), 24)
    filled = ax.contourf(reach, reach, density, levels=levels, cmap="viridis", extend="min")
    figure.colorbar(filled, ax=ax, label="log-density of the prior", format="%.0f")
    ax.plot([1, 0], [0, 1], "--", color="#D55E00", label="linear")
    ax.plot(path[:, 0], path[:, 1], ".-", color="white", markersize=4, linewidth=1, label="optimised (projected)")
    ax.plot([0], [0], "+", color="white", label="origin")
    ax.set(xlabel="x, share of the start", ylabel="y, share of the end", aspect="equal")
    ax.legend(fontsize=7, labelcolor="white", facecolor="0.25", framealpha=0.8, loc="upper right")
    return figure


def steps_figure(squared: dict[str, Tensor]) -> Figure:
    """Figure 9: squared decoded step lengths along one path, `(k,)` for each value of eps."""
    figure, (ax,) = figure_with_axes(5.6, 3.4)
    for number, (name, values) in enumerate(squared.items()):
        ax.semilogy(np.arange(1, len(values) + 1), values, label=name, **{**line_style(number), "marker": ""})
    ax.set(xlabel="segment of the path", ylabel="squared length of the decoded step", xlim=(1, None))
    ax.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure
