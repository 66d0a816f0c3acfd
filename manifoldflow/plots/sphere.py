"""The sphere S^2 on a page: points, densities, paths and coast lines on a globe, a map of equal areas, or in 3d."""

import csv
import gzip
import math
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .style import (
    DENSITY_MAP,
    Drawing,
    as_points,
    breaks,
    density_at,
    density_norm,
    own_axes,
    path_labels,
    path_style,
    point_style,
    polylines,
    rows_of,
    shade,
    surface_colours,
)

__all__ = ["plot_sphere"]

_AXES = {"globe": None, "mollweide": "mollweide", "3d": "3d"}
_SIZES = {"globe": (5.2, 5.0), "mollweide": (8.0, 4.4), "3d": (5.2, 5.0)}
_PIXELS = 301
_DIM = 0.18


def plot_sphere(
    points: Any = None,
    *,
    density: Any = None,
    paths: Any = None,
    projection: str = "globe",
    view: tuple[float, float] | None = None,
    land: bool = False,
    labels: list[str] | None = None,
    colorbar: bool = False,
    log_colours: bool = False,
    ax: Axes | None = None,
    **scatter: Any,
) -> Drawing:
    """Draw points, a density and paths on the sphere S^2.

    Args:
        points: Unit vectors `(*batch, 3)`, tensor or array.
        density: A distribution on S^2, or a function from unit vectors `(m, 3)` to log densities `(m,)` with respect to
            area; drawn as a filled map of the density per steradian.
        paths: Unit vectors `(*batch, m, 3)`, or a sequence of such arrays: one colour each.
        projection: "globe" (orthographic: as seen from far away, the hidden side dimmed), "mollweide" (the whole
            sphere, equal areas) or "3d" (can be turned in an interactive window).
        view: Latitude and longitude in degrees of the middle of the globe, or of the eye in 3d; the middle of the data
            by default. A Mollweide map has longitude 0 in its middle.
        land: Draw the Earth's coast lines (Natural Earth, 1:110 million, public domain); the third axis is the north
            pole, the first points to 0 N 0 E, as `manifoldflow.data.from_lat_long` has it.
        labels: A label for each entry of `paths`, for `ax.legend()`.
        colorbar, log_colours: Add a colour bar for the density; colour it by its logarithm, over the top three decades.
        ax: Axes to draw on, of matplotlib's projection "mollweide" or "3d" for those; new ones if None.
        scatter: Passed on to matplotlib's `scatter` of the points, such as `c`, `s` or `alpha`.

    Raises:
        ValueError: An unknown projection, axes of another one, points of another shape, or a batch of distributions.
        TypeError: Points that are not numbers, or a density that cannot be evaluated.

    Example:
        >>> drawing = plot_sphere(torch.eye(3), density=mf.VonMisesFisher(torch.eye(3)[0], 4.0))
        >>> drawing.ax.get_title()
        ''
    """
    if projection not in _AXES:
        raise ValueError(f"projection: expected one of {', '.join(_AXES)}; got {projection!r}")
    places = None if points is None else as_points("points", points, 3, 1).reshape(-1, 3)
    lines = [] if paths is None else _grouped(paths)
    drawing = Drawing(own_axes(ax, _AXES[projection], _SIZES[projection]))
    canvas = _CANVASES[projection](drawing, _view(view, places, lines))
    if density is not None:
        canvas.density(density, log_colours)
    canvas.frame()
    if land:
        canvas.land(shade(0.65) if density is None else "0.8")
    if places is not None:
        canvas.scatter(places, point_style(scatter))
    for number, (label, group) in enumerate(zip(path_labels(labels, len(lines)), lines)):
        for i, line in enumerate(group):
            canvas.line(line, drawing.paths, path_style(number), dimmed=True, label=None if i else label)
    if colorbar:
        drawing.add_colorbar("density per steradian")
    return drawing


def _grouped(paths: Any) -> list[list[np.ndarray]]:
    """One list of polylines per colour: per entry of a sequence, or per path of one array."""
    if isinstance(paths, (list, tuple)):
        return [polylines(entry, 3) for entry in paths]
    return [[line] for line in polylines(paths, 3)]


@cache
def coast_lines() -> tuple[np.ndarray, ...]:
    """Closed rings of unit vectors `(m, 3)`: the Earth's coast lines by Natural Earth, public domain, 1:110 million."""
    text = gzip.decompress((files(__package__) / "coast_110m.csv.gz").read_bytes()).decode()
    rows = np.array([row for row in csv.reader(text.splitlines()) if row[0].isdigit()], dtype=float)
    ring, places = rows[:, 0], unit_vectors(rows[:, 1], rows[:, 2])
    return tuple(breaks(places, np.diff(ring) != 0))


def unit_vectors(latitude: Any, longitude: Any) -> np.ndarray:
    """Unit vectors `(..., 3)` of latitudes and longitudes in degrees."""
    a, b = np.radians(latitude), np.radians(longitude)
    return np.stack(np.broadcast_arrays(np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)), axis=-1)


def _view(
    view: tuple[float, float] | None, points: np.ndarray | None, lines: list[list[np.ndarray]]
) -> tuple[float, float]:
    """Latitude and longitude in degrees of the middle of the picture."""
    if view is not None:
        if len(view) != 2 or not all(math.isfinite(x) for x in view):
            raise ValueError(f"view: expected (latitude, longitude) in degrees, got {view!r}")
        return float(view[0]), float(view[1])
    shown = np.concatenate([line for group in lines for line in group]) if lines else points
    middle = np.zeros(3) if shown is None or not len(shown) else shown.mean(0)
    if np.linalg.norm(middle) < 0.05:  # the data have no side to look at
        return 20.0, 0.0
    return (
        math.degrees(math.atan2(middle[2], math.hypot(middle[0], middle[1]))),
        math.degrees(math.atan2(middle[1], middle[0])),
    )


class _Canvas:
    """Draws unit vectors on the axes of one projection."""

    def __init__(self, drawing: Drawing, view: tuple[float, float]) -> None:
        self.drawing, self.ax = drawing, drawing.ax
        self.latitude, self.longitude = view
        toward = unit_vectors(*view)
        turn = math.radians(self.longitude)
        east = np.array([-math.sin(turn), math.cos(turn), 0.0])
        self.axes = np.stack([east, np.cross(toward, east), toward])

    def land(self, colour: str) -> None:
        for ring in coast_lines():
            self.line(ring, self.drawing.background, {"color": colour, "linewidth": 0.6}, dimmed=False)

    def density(self, density: Any, log: bool) -> None:
        raise NotImplementedError

    def frame(self) -> None:
        raise NotImplementedError

    def scatter(self, points: np.ndarray, style: dict[str, Any]) -> None:
        raise NotImplementedError

    def line(
        self, line: np.ndarray, into: list[Any], style: dict[str, Any], *, dimmed: bool, label: Any = None
    ) -> None:
        raise NotImplementedError


class _Globe(_Canvas):
    """Orthographic: coordinates to the east and north of the middle; what lies behind is dimmed."""

    def density(self, density: Any, log: bool) -> None:
        side = (np.arange(_PIXELS) + 0.5) / _PIXELS * 2 - 1
        x, y = np.meshgrid(side, side)
        depth = 1 - x**2 - y**2
        inside = depth >= 0
        seen = np.stack([x, y, np.sqrt(depth.clip(0))], axis=-1)[inside]
        values = np.full(x.shape, np.nan)
        values[inside] = density_at(density, seen @ self.axes)
        norm = density_norm(values, log=log)
        image = self.ax.imshow(values, extent=(-1, 1, -1, 1), origin="lower", cmap=DENSITY_MAP, norm=norm, zorder=0)
        image.set_interpolation("bilinear")
        self.drawing.density = image

    def frame(self) -> None:
        from matplotlib.patches import Circle

        edge = Circle((0, 0), 1, fill=False, edgecolor=shade(0.6), linewidth=1, zorder=1)
        self.ax.add_patch(edge)
        self.drawing.background.append(edge)
        around = np.linspace(-180, 180, 181)
        grid = {"color": shade(0.4), "linewidth": 0.4, "alpha": 0.6}
        for latitude in range(-60, 90, 30):
            self.line(unit_vectors(latitude, around), self.drawing.background, grid, dimmed=False)
        for longitude in range(-180, 180, 30):
            self.line(unit_vectors(around / 2, longitude), self.drawing.background, grid, dimmed=False)
        self.ax.set(aspect="equal", xlim=(-1.03, 1.03), ylim=(-1.03, 1.03))
        self.ax.set_axis_off()

    def scatter(self, points: np.ndarray, style: dict[str, Any]) -> None:
        x, y, depth = (points @ self.axes.T).T
        for rows, alpha in ((depth < 0, _DIM), (depth >= 0, 1.0)):
            artist = self.ax.scatter(x[rows], y[rows], zorder=2 + alpha, **rows_of(style, rows, alpha))
            self.drawing.points.append(artist)

    def line(
        self, line: np.ndarray, into: list[Any], style: dict[str, Any], *, dimmed: bool, label: Any = None
    ) -> None:
        for piece, seen in _sides(line @ self.axes.T):
            if seen:
                into += self.ax.plot(piece[:, 0], piece[:, 1], label=label, zorder=4 if dimmed else 1, **style)
                label = None
            elif dimmed:
                into += self.ax.plot(
                    piece[:, 0], piece[:, 1], zorder=2, **style | {"alpha": 2 * _DIM, "linestyle": (0, (2, 2))}
                )


def _sides(line: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """The pieces of a line (east, north, depth) before and behind the horizon, which ends each of them."""
    seen = line[:, 2] >= 0
    pieces, rest = [], line
    for at in np.flatnonzero(seen[1:] != seen[:-1])[::-1]:
        a, b = line[at], line[at + 1]
        cross = a + (b - a) * a[2] / (a[2] - b[2])
        cross = cross / max(float(np.linalg.norm(cross)), 1e-12)
        pieces.append((np.concatenate([cross[None], rest[at + 1 :]]), bool(seen[at + 1])))
        rest = np.concatenate([rest[: at + 1], cross[None]])
    return [*pieces, (rest, bool(seen[0]))]


class _Mollweide(_Canvas):
    """matplotlib's own projection of longitude and latitude in radians."""

    @staticmethod
    def _degrees(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.arctan2(points[..., 1], points[..., 0]), np.arctan2(
            points[..., 2], np.hypot(points[..., 0], points[..., 1])
        )

    def density(self, density: Any, log: bool) -> None:
        longitude, latitude = np.linspace(-180, 180, 361), np.linspace(-90, 90, 181)
        a, b = np.meshgrid(latitude[:-1] + 0.5, longitude[:-1] + 0.5, indexing="ij")
        values = density_at(density, unit_vectors(a, b))
        sides, norm = (np.radians(longitude), np.radians(latitude)), density_norm(values, log=log)
        self.drawing.density = self.ax.pcolormesh(
            *sides, values, cmap=DENSITY_MAP, norm=norm, rasterized=True, zorder=0
        )

    def frame(self) -> None:
        self.ax.grid(color=shade(0.4), linewidth=0.4, alpha=0.6)
        self.ax.set_xticks(np.radians(range(-120, 121, 60)))
        self.ax.set_yticks(np.radians(range(-60, 61, 30)))
        self.ax.tick_params(labelsize=7, colors=shade(0.65))
        if self.drawing.density is not None:  # longitudes stand inside the map
            self.ax.tick_params(axis="x", colors="0.9")

    def scatter(self, points: np.ndarray, style: dict[str, Any]) -> None:
        self.drawing.points.append(self.ax.scatter(*self._degrees(points), zorder=3, **style))

    def line(
        self, line: np.ndarray, into: list[Any], style: dict[str, Any], *, dimmed: bool, label: Any = None
    ) -> None:
        longitude, latitude = self._degrees(line)
        flat = np.stack([longitude, latitude], axis=-1)
        for piece in breaks(flat, np.abs(np.diff(longitude)) > math.pi):  # over the edge of the map
            into += self.ax.plot(piece[:, 0], piece[:, 1], label=label, zorder=4 if dimmed else 1, **style)
            label = None


class _Solid(_Canvas):
    """matplotlib's 3d axes; the side away from the first view is dimmed."""

    def density(self, density: Any, log: bool) -> None:
        latitude, longitude = np.linspace(-90, 90, 91), np.linspace(-180, 180, 181)
        corners = unit_vectors(*np.meshgrid(latitude, longitude, indexing="ij"))
        values = density_at(density, unit_vectors(*np.meshgrid(latitude[:-1] + 1, longitude[:-1] + 1, indexing="ij")))
        scale = surface_colours(values, log=log)
        surface = self.ax.plot_surface(  # type: ignore[attr-defined]
            *np.moveaxis(corners, -1, 0),
            facecolors=scale.to_rgba(values),
            rstride=1,
            cstride=1,
            shade=False,
            antialiased=False,
            zorder=0,
        )
        self.drawing.background.append(surface)
        self.drawing.density = scale

    def frame(self) -> None:
        self.ax.set_box_aspect((1, 1, 1), zoom=1.35)  # type: ignore[call-arg, arg-type]
        self.ax.view_init(elev=self.latitude, azim=self.longitude)  # type: ignore[attr-defined]
        self.ax.computed_zorder = False  # type: ignore[attr-defined]  # ours knows which side is hidden
        self.ax.set_axis_off()
        around = np.linspace(-180, 180, 121)
        grid = {"color": shade(0.5), "linewidth": 0.4, "alpha": 0.6}
        for latitude in range(-60, 90, 30):
            self.line(unit_vectors(latitude, around), self.drawing.background, grid, dimmed=False)
        for longitude in range(-180, 180, 30):
            self.line(unit_vectors(around / 2, longitude), self.drawing.background, grid, dimmed=False)

    def scatter(self, points: np.ndarray, style: dict[str, Any]) -> None:
        depth = points @ self.axes[2]
        for rows, alpha in ((depth < 0, _DIM), (depth >= 0, 1.0)):
            style_of_rows = rows_of(style, rows, alpha)
            artist = self.ax.scatter(*1.01 * points[rows].T, depthshade=False, zorder=3 * alpha, **style_of_rows)
            self.drawing.points.append(artist)

    def line(
        self, line: np.ndarray, into: list[Any], style: dict[str, Any], *, dimmed: bool, label: Any = None
    ) -> None:
        for piece, seen in _sides(1.01 * line @ self.axes.T):
            if seen or dimmed:
                faint = {} if seen else {"alpha": 2 * _DIM}
                into += self.ax.plot(*(piece @ self.axes).T, label=label, zorder=5 if seen else 1, **style | faint)
                label = None


_CANVASES: dict[str, type[_Canvas]] = {"globe": _Globe, "mollweide": _Mollweide, "3d": _Solid}
