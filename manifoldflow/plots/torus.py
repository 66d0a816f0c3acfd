"""The torus T^2 on a page: the square of two angles with wrapped paths, or the ring in 3d."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import (
    DENSITY_MAP,
    Drawing,
    as_points,
    breaks,
    density_at,
    own_axes,
    path_labels,
    path_style,
    point_style,
    polylines,
    rows_of,
    shade,
    surface_colours,
)

__all__ = ["plot_torus"]

_TICKS = (-math.pi, -math.pi / 2, 0, math.pi / 2, math.pi)
_TICK_LABELS = ("−π", "−π/2", "0", "π/2", "π")
_RADII = 2.0, 0.85
_EYE = math.radians(40), math.radians(-60)


def plot_torus(
    points: Any = None,
    *,
    density: Any = None,
    paths: Any = None,
    projection: str = "square",
    names: tuple[str, str] = ("first angle", "second angle"),
    labels: list[str] | None = None,
    colorbar: bool = False,
    ax: Axes | None = None,
    **scatter: Any,
) -> Drawing:
    """Draw points, a density and paths of pairs of angles.

    Args:
        points: Angles in radians `(*batch, 2)`; any representative, they are wrapped to [-pi, pi).
        density: A distribution of two angles, or a function from angles `(m, 2)` to log densities `(m,)`; drawn as a
            filled map of the density per square radian.
        paths: Angles `(*batch, m, 2)`, or a sequence of such arrays; cut where they leave the square.
        projection: "square" or "3d".
        names: What the two angles are; "(radians)" is added.
        labels: A label for each path, for `ax.legend()`.
        colorbar: Add a colour bar for the density.
        ax: Axes to draw on (of matplotlib's projection "3d" for "3d"); new ones by default.
        scatter: Passed on to matplotlib's `scatter` of the points.

    Returns:
        What was drawn.

    Raises:
        ValueError: An unknown projection, axes of another one, or points of another shape.
        TypeError: Points that are not numbers, or a density that cannot be evaluated.

    Example:
        >>> plot_torus(torch.zeros(5, 2))
        Drawing(1 sets of points, no density, 0 lines of paths)
    """
    if projection not in ("square", "3d"):
        raise ValueError(f"projection: expected square or 3d, got {projection!r}")
    solid = projection == "3d"
    drawing = Drawing(own_axes(ax, "3d" if solid else None, (5.2, 5.0)))
    if density is not None:
        (_solid_density if solid else _square_density)(drawing, density)
    if points is not None:
        angles = _wrap(as_points("points", points, 2, 1).reshape(-1, 2))
        if solid:
            _solid_points(drawing, angles, point_style(scatter))
        else:
            drawing.points.append(drawing.ax.scatter(*angles.T, zorder=3, **point_style(scatter)))
    _draw_paths(drawing, [] if paths is None else polylines(paths, 2), labels, solid=solid)
    (_solid_frame if solid else _square_frame)(drawing, names)
    if colorbar:
        drawing.add_colorbar("density per square radian")
    return drawing


def _wrap(angles: np.ndarray) -> np.ndarray:
    return (angles + math.pi) % (2 * math.pi) - math.pi


def _ring(angles: np.ndarray, swell: float = 1.0) -> np.ndarray:
    """The ring in space: the first angle runs around the axis, the second around the tube."""
    a, b = angles[..., 0], angles[..., 1]
    tube = _RADII[1] * swell
    from_axis = _RADII[0] + tube * np.cos(b)
    return np.stack([from_axis * np.cos(a), from_axis * np.sin(a), tube * np.sin(b)], axis=-1)


def _cells(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of a grid of one angle, and the pairs of angles at the middles of its cells, first angle first."""
    edges = np.linspace(-math.pi, math.pi, count + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return edges, np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1)


def _square_density(drawing: Drawing, density: Any) -> None:
    _, middles = _cells(240)
    drawing.density = drawing.ax.imshow(
        density_at(density, middles).T,
        extent=(-math.pi, math.pi, -math.pi, math.pi),
        origin="lower",
        cmap=DENSITY_MAP,
        vmin=0,
        zorder=0,
    )


def _square_frame(drawing: Drawing, names: tuple[str, str]) -> None:
    ax = drawing.ax
    ax.set(xlim=(-math.pi, math.pi), ylim=(-math.pi, math.pi), aspect="equal")
    ax.set(xlabel=f"{names[0]} (radians)", ylabel=f"{names[1]} (radians)")
    ax.set_xticks(_TICKS, _TICK_LABELS)
    ax.set_yticks(_TICKS, _TICK_LABELS)
    ax.spines[:].set_linestyle((0, (4, 3)))  # opposite sides are the same line
    if drawing.density is None:
        ax.grid(alpha=0.25, linewidth=0.6)


def _draw_paths(drawing: Drawing, lines: list[np.ndarray], labels: list[str] | None, *, solid: bool) -> None:
    for number, (label, line) in enumerate(zip(path_labels(labels, len(lines)), lines)):
        style = path_style(number) | {"zorder": 4}
        unrolled = np.unwrap(line, axis=0)
        pieces = [_ring(unrolled, 1.02)] if solid else _in_square(unrolled)
        for piece in pieces:
            drawing.paths += drawing.ax.plot(*piece.T, label=label, **style)
            label = None


def _in_square(line: np.ndarray) -> list[np.ndarray]:
    """A continuous line of angles, cut on the edges of the square: a piece ends there, and the next begins."""
    pieces = [line]
    for axis in (0, 1):
        pieces = [part for piece in pieces for part in _cut(piece, axis)]
    return pieces


def _cut(line: np.ndarray, axis: int) -> list[np.ndarray]:
    turn = 2 * math.pi
    tile = np.floor((line[:, axis] + math.pi) / turn)
    rows, cuts = [line[:1]], []
    for a, b, i, j in zip(line[:-1], line[1:], tile[:-1], tile[1:]):
        for edge in np.arange(min(i, j) + 1, max(i, j) + 1)[:: 1 if j > i else -1]:
            share = (edge * turn - math.pi - a[axis]) / (b[axis] - a[axis])
            crossing = a + share * (b - a)
            rows += [crossing[None], crossing[None]]
            cuts.append(sum(map(len, rows)) - 2)
        rows.append(b[None])
    whole = np.concatenate(rows)
    at = np.zeros(len(whole) - 1, dtype=bool)
    at[cuts] = True
    pieces = breaks(whole, at)
    for piece in pieces:
        piece[:, axis] -= turn * np.floor((piece[:, axis].mean() + math.pi) / turn)
    return pieces


def _solid_density(drawing: Drawing, density: Any) -> None:
    edges, middles = _cells(120)
    values = density_at(density, middles)
    scale = surface_colours(values)
    corners = _ring(np.stack(np.meshgrid(edges, edges, indexing="ij"), axis=-1))
    drawing.background.append(
        drawing.ax.plot_surface(  # type: ignore[attr-defined]
            *np.moveaxis(corners, -1, 0),
            facecolors=scale.to_rgba(values),
            rstride=1,
            cstride=1,
            shade=False,
            antialiased=False,
            zorder=0,
        )
    )
    drawing.density = scale


def _solid_points(drawing: Drawing, angles: np.ndarray, style: dict[str, Any]) -> None:
    """Points whose side of the tube faces away from the eye are dimmed."""
    eye = np.array([math.cos(_EYE[0]) * math.cos(_EYE[1]), math.cos(_EYE[0]) * math.sin(_EYE[1]), math.sin(_EYE[0])])
    facing = (_ring(angles, 1.02) - _ring(angles, 1.0)) @ eye
    for rows, alpha in ((facing < 0, 0.25), (facing >= 0, 1.0)):
        place = _ring(angles[rows], 1.02)
        drawing.points.append(
            drawing.ax.scatter(*place.T, depthshade=False, zorder=2 + alpha, **rows_of(style, rows, alpha))
        )


def _solid_frame(drawing: Drawing, names: tuple[str, str]) -> None:
    ax = drawing.ax
    if drawing.density is None:
        edges = np.linspace(-math.pi, math.pi, 49)
        corners = _ring(np.stack(np.meshgrid(edges, edges, indexing="ij"), axis=-1))
        drawing.background.append(
            ax.plot_wireframe(  # type: ignore[attr-defined]
                *np.moveaxis(corners, -1, 0), color=shade(0.4), linewidth=0.3, alpha=0.5, rstride=2, cstride=2
            )
        )
    ax.set_box_aspect((1, 1, _RADII[1] / sum(_RADII)), zoom=1.3)  # type: ignore[call-arg, arg-type]
    ax.set_title(f"around the ring: {names[0]}; around the tube: {names[1]}", fontsize=9, y=0.0)
    ax.view_init(elev=math.degrees(_EYE[0]), azim=math.degrees(_EYE[1]))  # type: ignore[attr-defined]
    ax.computed_zorder = False  # type: ignore[attr-defined]
    ax.set_axis_off()
