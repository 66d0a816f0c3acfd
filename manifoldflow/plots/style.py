"""What every figure shares: axes to draw on, colours that anybody can tell apart, inputs as arrays."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps, rc_context, rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from ..checks import check_choice

__all__ = ["COLOURS", "Drawing", "figure_with_axes", "line_style", "theme"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart with any colour vision."""
_MARKERS = "osD^vPX"
_LINES = ("-", "--", ":", "-.")  # so that curves which coincide both show

DENSITY_MAP = "cividis"
POINT_COLOUR = "#D55E00"
_THEMES = {"light": ("#ffffff", "#1b1f24"), "dark": ("#0d1117", "#e6edf3")}
_DECADES = 3


def theme(name: str) -> AbstractContextManager[None]:
    """A context in which figures are drawn for light or for dark pages.

    Args:
        name: "light" or "dark". It sets matplotlib's colours of paper and ink, which all figures here follow.

    Raises:
        ValueError: Another name.

    Example:
        >>> with theme("dark"):
        ...     drawing = plot_simplex(torch.tensor([[0.2, 0.3, 0.5]]))
    """
    paper, ink = _THEMES[check_choice("name", name, _THEMES)]
    papers = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return rc_context(dict.fromkeys(papers, paper) | dict.fromkeys(inks, ink))


def shade(share: float) -> str:
    """The colour that lies between paper (0) and ink (1) of the figures drawn now."""
    paper, ink = (np.array(to_rgb(rcParams[key])) for key in ("figure.facecolor", "text.color"))
    return to_hex(paper + share * (ink - paper))


class Drawing:
    """What a plotting function drew, by subject, so that a caller can restyle or remove it.

    Attributes:
        ax: The axes.
        points: The artists of the points.
        density: The artist of the density, which `figure.colorbar` takes; None without one.
        paths: The artists of the paths.
        background: Outlines, grids and coast lines.
    """

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        self.points: list[Artist] = []
        self.density: ScalarMappable | None = None
        self.paths: list[Artist] = []
        self.background: list[Artist] = []

    @property
    def figure(self) -> Figure:
        """The figure that holds the axes."""
        figure = self.ax.get_figure(root=True)
        assert figure is not None
        return figure

    def add_colorbar(self, label: str, shrink: float = 0.8, **options: Any) -> None:
        """Add a colour bar for the density, where there is one."""
        if self.density is not None:
            self.figure.colorbar(self.density, ax=self.ax, label=label, shrink=shrink, **options)

    def __repr__(self) -> str:
        density = "no density" if self.density is None else "a density"
        return f"Drawing({len(self.points)} sets of points, {density}, {len(self.paths)} lines of paths)"


def figure_with_axes(
    width: float, height: float, columns: int = 1, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with axes row by row, without frames at the top and right; it is not shown by itself."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def line_style(number: int) -> dict[str, Any]:
    """Colour, dashes and marker of the curve of that number, told apart without colours too."""
    return {
        "color": _on_paper(COLOURS[number % len(COLOURS)]),
        "linestyle": _LINES[number % len(_LINES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4,
    }


def _on_paper(colour: str) -> str:
    """A colour of a line; on dark paper, where the darker ones would not show, half-way to the ink."""
    paper, ink, own = (np.array(to_rgb(c)) for c in (rcParams["figure.facecolor"], rcParams["text.color"], colour))
    return colour if paper.mean() > ink.mean() else to_hex((own + ink) / 2)


def point_style(options: dict[str, Any]) -> dict[str, Any]:
    """The look of points, under the caller's own options of `scatter`."""
    style = {"s": 9, "color": POINT_COLOUR, "linewidths": 0} | options
    if {"c", "facecolor", "facecolors"} & options.keys():
        del style["color"]
    return style


def path_style(number: int) -> dict[str, Any]:
    """The look of the path of that number: its colour in a border of the paper's, which shows on any density."""
    return {
        "color": _on_paper(COLOURS[number % len(COLOURS)]),
        "linewidth": 2,
        "path_effects": [withStroke(linewidth=3.6, foreground=shade(0))],
    }


def rows_of(style: dict[str, Any], rows: np.ndarray, alpha: float) -> dict[str, Any]:
    """The style of some of the points, dimmed by `alpha`: what is given for each point is given for those."""
    chosen = {k: v[rows] if isinstance(v, np.ndarray | Tensor) and len(v) == len(rows) else v for k, v in style.items()}
    return chosen | {"alpha": chosen.get("alpha", 1.0) * alpha}


def density_norm(values: np.ndarray, *, log: bool = False) -> Normalize:
    """The scale of a density's colours: from 0 to its largest value, or the three decades below that one."""
    largest = float(np.nanmax(values))
    return LogNorm(largest * 10.0**-_DECADES, largest, clip=True) if log else Normalize(0, largest)


def surface_colours(values: np.ndarray, *, log: bool = False) -> ScalarMappable:
    """The colours of a density, as `density_norm` scales them."""
    return ScalarMappable(density_norm(values, log=log), colormaps[DENSITY_MAP])


def own_axes(ax: Axes | None, projection: str | None, size: tuple[float, float]) -> Axes:
    """The caller's axes, or new ones in a new pyplot figure, which notebooks show."""
    if ax is None:
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, layout="constrained").add_subplot(projection=projection)
    wanted = projection or "rectilinear"
    if ax.name != wanted:
        raise ValueError(
            f"ax: expected axes of matplotlib's projection {wanted!r}, got {ax.name!r}; "
            f"create them with figure.add_subplot(projection={wanted!r})"
        )
    return ax


def as_points(name: str, value: Any, width: int, least: int) -> np.ndarray:
    """Points or paths as a float64 array `(..., width)` of at least `least` dimensions.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another last dimension, too few dimensions, or numbers that are not finite.
    """
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected a tensor or an array of numbers, got {type(value).__name__}") from error
    if array.ndim < least or array.shape[-1] != width:
        shape = ", ".join(["...", *(["m"] if least > 1 else []), str(width)])
        raise ValueError(f"{name}: expected shape ({shape}), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; drop those rows first")
    return array


def polylines(paths: Any, width: int) -> list[np.ndarray]:
    """Each path `(m, width)` of an array `(*batch, m, width)`, or of a sequence of such arrays."""
    if isinstance(paths, (list, tuple)):
        return [line for path in paths for line in polylines(path, width)]
    array = as_points("paths", paths, width, 2)
    return list(array.reshape(-1, *array.shape[-2:]))


def density_at(density: Any, points: np.ndarray) -> np.ndarray:
    """The density of points `(..., n)`, from a distribution or a function that returns the log density.

    Raises:
        TypeError: `density` is neither.
    """
    log_prob: Callable[[Tensor], Any] = getattr(density, "log_prob", density)
    if not callable(log_prob):
        raise TypeError(
            "density: expected a distribution or a function from points to their log density, "
            f"got {type(density).__name__}"
        )
    batch = tuple(getattr(density, "batch_shape", ()))
    if batch:
        raise ValueError(
            f"density: expected one distribution, got a batch of shape {batch}; plot one of them at a time"
        )
    with torch.no_grad():
        dtype = density.sample().dtype if hasattr(density, "sample") else torch.get_default_dtype()
        flat = torch.as_tensor(points.reshape(-1, points.shape[-1]), dtype=dtype)
        values = torch.cat([torch.as_tensor(log_prob(rows)) for rows in flat.split(50_000)])
    if values.shape != flat.shape[:1]:
        raise ValueError(
            f"density: expected one log density per point, shape {tuple(flat.shape[:1])}, got {tuple(values.shape)}"
        )
    return np.exp(values.double().cpu().numpy()).reshape(points.shape[:-1])


def path_labels(labels: list[str] | None, count: int) -> list[str | None]:
    """One label for each entry of `paths`; None for each where there are none.

    Raises:
        ValueError: Another number of labels.
    """
    if labels is None:
        return [None] * count
    if len(labels) != count:
        raise ValueError(f"labels: expected one for each of the {count} entries of paths, got {len(labels)}")
    return list(labels)


def breaks(line: np.ndarray, at: np.ndarray) -> list[np.ndarray]:
    """A polyline cut between the vertices i and i + 1 where `at[i]` is true."""
    return [part for part in np.split(line, np.flatnonzero(at) + 1) if len(part)]
