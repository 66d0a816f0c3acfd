"""The pictures of the page that need no script: the map of one model, and typicality along the paths."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..._geomstats import Manifold
from ...manifolds import Hypersphere, Simplex, Torus
from ...plots import plot_simplex, plot_sphere, plot_torus
from ...plots.style import figure_with_axes, line_style, path_style, point_style
from .contents import PathShown, PointsPage
from .payload import first_model
from .shade import OUTSIDE
from .views import View

__all__ = ["still_picture", "still_text", "typicality_figure"]

Density = Callable[[Tensor], Tensor]
_SHOWN = 4
_DOTS = 3000
_LETTERS = 32


def _plain(name: str) -> str:
    """A name for a picture: not too long, and no formula."""
    short = name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
    return short.replace("$", r"\$")


def _first_paths(page: PointsPage) -> tuple[list[np.ndarray], list[str]]:
    """The first pair's paths and their names."""
    paths = page.paths[:_SHOWN]
    return [np.asarray(path.points[0], np.float64) for path in paths], [_plain(path.name) for path in paths]


def _density(view: View, shade: np.ndarray | None) -> Density | None:
    """A function for `manifoldflow.plots` that reads the shading: 1 at the densest place, 0 outside the last draws."""
    if shade is None:
        return None
    levels = np.where(shade == OUTSIDE, OUTSIDE - 1, shade) / (OUTSIDE - 1)

    def log_height(points: Tensor) -> Tensor:
        places = view.columns(points.numpy().astype(np.float64))
        shares = [(places[:, i] - axis.low) / (axis.high - axis.low) for i, axis in enumerate(view.axes[:2])]
        column, row = (
            np.clip((share * count).astype(int), 0, count - 1) for share, count in zip(shares, levels.shape[::-1])
        )
        return torch.from_numpy(np.log(np.maximum(1 - levels[row, column], 1e-12)))

    return log_height


def _axes(projection: str | None = None) -> Axes:
    return Figure(figsize=(6, 6), layout="constrained").add_subplot(projection=projection)


def still_picture(page: PointsPage, view: View) -> Figure:
    """The map of the best model, with training points and the first pair's paths."""
    paths, labels = _first_paths(page)
    some = np.asarray(page.train, np.float64)
    some = some[:: max(1, len(some) // _DOTS)]
    ax = _map(page.space, page, view, some, paths, labels)
    if labels:
        ax.legend(loc="lower left", fontsize=8)
    return ax.get_figure(root=True)  # type: ignore[return-value]


def still_text(page: PointsPage) -> str:
    """What the map shows."""
    text = "Training points"
    if first_model(page).shade is not None:
        text += f" over the density of {first_model(page).name}"
    titles = list(page.pair_titles) or ["the first pair"]
    return text + (f", with the paths of {titles[0]}" if page.paths else "")


@singledispatch
def _map(
    space: Manifold, page: PointsPage, view: View, points: np.ndarray, paths: list[np.ndarray], labels: list[str]
) -> Axes:
    ax = _axes()
    across, up = view.axes[0], view.axes[min(1, len(view.axes) - 1)]
    shade = first_model(page).shade
    if shade is not None:
        ax.imshow(
            1 - np.where(shade == OUTSIDE, OUTSIDE - 1, shade) / (OUTSIDE - 1),
            extent=(across.low, across.high, up.low, up.high),
            origin="lower",
            aspect="auto",
            cmap="Greys",
        )
    ax.scatter(*_plane(view, points).T, **point_style({"alpha": 0.5}))
    for number, (path, label) in enumerate(zip(paths, labels)):
        ax.plot(*_plane(view, path).T, label=label, **path_style(number))
    ax.set(xlim=(across.low, across.high), ylim=(up.low, up.high), xlabel=_plain(across.label), ylabel=_plain(up.label))
    return ax


def _plane(view: View, points: np.ndarray) -> np.ndarray:
    columns = view.columns(points)
    return columns[:, [0, min(1, columns.shape[1] - 1)]]


@_map.register
def _(
    space: Hypersphere, page: PointsPage, view: View, points: np.ndarray, paths: list[np.ndarray], labels: list[str]
) -> Axes:
    if space.dim != 2:
        return _map.dispatch(Manifold)(space, page, view, points, paths, labels)
    shade = _density(view, first_model(page).shade)
    options: dict[str, Any] = {"land": page.land, "labels": labels or None, "s": 3, "alpha": 0.6}
    return plot_sphere(points, density=shade, paths=paths or None, ax=_axes(), **options).ax


@_map.register
def _(
    space: Torus, page: PointsPage, view: View, points: np.ndarray, paths: list[np.ndarray], labels: list[str]
) -> Axes:
    if space.dim == 1:
        return _map.dispatch(Manifold)(space, page, view, points, paths, labels)
    first, second = (_plain(axis.label.removesuffix(" (radians)")) for axis in view.axes[:2])
    shade = _density(view, first_model(page).shade) if space.dim == 2 else None
    paths = [path[:, :2] for path in paths]
    options: dict[str, Any] = {"labels": labels or None, "s": 3, "alpha": 0.6}
    return plot_torus(
        points[:, :2], density=shade, paths=paths or None, names=(first, second), ax=_axes(), **options
    ).ax


@_map.register
def _(
    space: Simplex, page: PointsPage, view: View, points: np.ndarray, paths: list[np.ndarray], labels: list[str]
) -> Axes:
    if space.dim != 2:
        return _map.dispatch(Manifold)(space, page, view, points, paths, labels)
    shade = _density(view, first_model(page).shade)
    first, second, third = map(_plain, view.corners)
    options: dict[str, Any] = {"names": (first, second, third), "labels": labels or None, "s": 5, "alpha": 0.7}
    return plot_simplex(points, density=shade, paths=paths or None, ax=_axes(), **options).ax


def typicality_figure(paths: list[PathShown]) -> Figure:
    """Median and range of typicality over time, a panel for each path."""
    figure, axes = figure_with_axes(2.6 * len(paths) + 0.6, 2.8, len(paths), sharey=True)
    for number, (path, ax) in enumerate(zip(paths, axes)):
        values = np.asarray(path.typicality, np.float64)
        times = np.linspace(0, 1, values.shape[1])
        low, median, high = np.nanquantile(values, (0.05, 0.5, 0.95), axis=0)
        colour = line_style(number)["color"]
        ax.fill_between(times, low, high, color=colour, alpha=0.3, linewidth=0)
        ax.plot(times, median, color=colour)
        ax.set(title=_plain(path.name), xlim=(0, 1), ylim=(0, 1), xlabel="path time t")
        ax.title.set_fontsize(10)
    axes[0].set_ylabel("typicality" + (f" by {_plain(paths[0].model)}" if paths[0].model else ""))
    return figure
