"""What the page's script is given: coordinates as 16-bit numbers, shadings as bytes, all as data that JSON can hold."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plots.sphere import coast_lines
from .contents import ModelShown, PathShown, PointsPage
from .views import Axis, View

__all__ = ["COLOURS", "DASHES", "PAIRS", "first_model", "map_data", "shown_titles"]

PAIRS = 12
"""So many pairs are shown, the first ones."""
COLOURS = 6
"""The style sheet's curve-0 to curve-5; the last of its colours is that of the data."""
DASHES = ("", "7 4", "2 3", "9 3 2 3")
_DATA = 4000
_SAMPLES = 2000
_TOP = 32767
_OFF = -32768
"""Stands for a point outside the range of an axis, which is not drawn."""


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def column(values: np.ndarray, axis: Axis) -> str:
    """Values over an axis' range as little-endian 16-bit whole numbers from -32767 to 32767, in base64."""
    middle, half = (axis.high + axis.low) / 2, (axis.high - axis.low) / 2
    share = (np.asarray(values, np.float64) - middle) / half
    return _encoded(np.where(np.abs(share) <= 1 + 1e-9, np.round(_TOP * share.clip(-1, 1)), _OFF).astype("<i2"))


def _columns(points: np.ndarray, view: View) -> list[str]:
    places = view.columns(np.asarray(points, np.float64))
    return [column(places[:, i], axis) for i, axis in enumerate(view.axes)]


def _some(points: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the points, spread evenly over their order."""
    return points[np.linspace(0, len(points) - 1, most).round().astype(int)] if len(points) > most else points


def _layer(name: str, points: np.ndarray, view: View, most: int) -> dict[str, Any]:
    some = _some(points, most)
    return {"name": name, "shown": len(some), "count": len(points), "columns": _columns(some, view)}


def shown_titles(page: PointsPage) -> list[str]:
    """Titles of the pairs that are shown."""
    pairs = len(page.paths[0].points) if page.paths else 0
    titles = list(page.pair_titles) or [f"Pair {i + 1}" for i in range(pairs)]
    return titles[:PAIRS]


def first_model(page: PointsPage) -> ModelShown:
    """The model that is shown first: the one with the lowest held-out figure, among those with a shading if any."""
    shaded = [model for model in page.models if model.shade is not None]
    return min(shaded or page.models, key=lambda model: model.certificate.nll.value)


def _finite(values: Sequence[float]) -> list[float | None]:
    """JSON has no NaN: the script leaves a gap."""
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]


def _model(model: ModelShown, view: View) -> dict[str, Any]:
    shade = model.shade
    return {
        **_layer(model.name, model.samples, view, _SAMPLES),
        "shade": None if shade is None else _encoded(np.asarray(shade, np.uint8)),
        "shape": None if shade is None else list(np.shape(shade)),
    }


def _path(number: int, path: PathShown, view: View) -> dict[str, Any]:
    return {
        "number": number,
        "name": path.name,
        "model": path.model,
        "colour": number % COLOURS,
        "dashes": DASHES[number // COLOURS % len(DASHES)],
        "points": [_columns(points, view) for points in path.points[:PAIRS]],
        "typicality": None if path.typicality is None else [_finite(row) for row in path.typicality[:PAIRS]],
    }


def _land(view: View) -> list[list[str]]:
    return [_columns(ring, view) for ring in coast_lines()]


def map_data(page: PointsPage, view: View) -> dict[str, Any]:
    """The map, its layers, models and paths as plain data."""
    axes = [
        {"label": a.label, "low": a.low, "high": a.high, "ticks": [list(t) for t in a.ticks], "periodic": a.periodic}
        for a in view.axes
    ]
    steps = np.shape(page.paths[0].points)[1] if page.paths else 0
    middle = view.columns(np.asarray(page.train, np.float64)).mean(0)
    globe = view.kind == "globe"
    if globe:
        middle = view.columns(_centre(page)[None])[0]
    return {
        "kind": view.kind,
        "axes": axes,
        "corners": list(view.corners),
        "centre": [round(float(x), 3) for x in middle],
        "layers": [
            _layer("training points", page.train, view, _DATA),
            _layer("held-out points", page.held_out, view, _DATA),
        ],
        "models": [_model(model, view) for model in page.models],
        "first": page.models.index(first_model(page)),
        "pairs": shown_titles(page),
        "times": [round(i / (steps - 1), 6) for i in range(steps)],
        "paths": [_path(number, path, view) for number, path in enumerate(page.paths)],
        "land": _land(view) if page.land and globe else [],
    }


def _centre(page: PointsPage) -> np.ndarray:
    """Where the globe is first looked at: the middle of the first pair's paths, or of the data."""
    shown = [path.points[0].mean(0) for path in page.paths]
    return np.mean(shown, 0) if shown else np.asarray(page.train).mean(0)
