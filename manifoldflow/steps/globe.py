"""The library in one picture: earthquakes, their density, and three ways from one place on the globe to another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import Tensor

from ..data import from_lat_long, load_earth
from ..distributions import KernelDensity
from ..flows import Flow
from ..interpolation import interpolate
from ..manifolds import Hypersphere
from ..plots import plot_sphere, theme
from ..training import TrainSettings
from ..training.point_models import ModelChoice
from .points import PointsChoice, PointsEvaluation, interpolate_points_step, train_points_step
from .points.along import density_energy, path_along_data, smooth_density
from .points.judging import evaluate_points_step
from .points.routes import read_routes
from .points.showing import write_points_report_files

__all__ = ["GlobePaths", "Trip", "draw_globe", "globe_files", "paths_on_the_globe"]

_WIDTH = 0.05
"""Radians, 320 km: the likeliest width is as small as one allows, since many places stand in the data twice."""
_TITLES = {"geodesic": "great circle", "matched": "matched, through a flow", "optimised": "optimised for realism"}
_TIMES = 121


@dataclass(frozen=True)
class Trip:
    """Two places, and where to look at the globe from.

    Args:
        start, end: Names.
        places: Latitude and longitude of both in degrees.
        view: Latitude and longitude of the middle of the picture in degrees.

    Example:
        >>> Trip("Lima", "Quito", ((-12.0, -77.0), (-0.2, -78.5)), view=(0, -80)).end
        'Quito'
    """

    start: str
    end: str
    places: tuple[tuple[float, float], tuple[float, float]]
    view: tuple[float, float]


TRIPS = (
    Trip("Tokyo", "Santiago", ((35.7, 139.7), (-33.4, -70.7)), (12.0, -145.0)),
    Trip("Tokyo", "Istanbul", ((35.7, 139.7), (41.0, 29.0)), (30.0, 88.0)),
)


@dataclass(frozen=True)
class GlobePaths:
    """What the picture shows.

    Attributes:
        trips: The pairs of places.
        data: The places of the earthquakes, `(m, 3)`.
        density: The log of their kernel density, as a function that remembers its values.
        paths: From a method to its paths `(trips, steps, 3)`.
    """

    trips: tuple[Trip, ...]
    data: Tensor
    density: Callable[[Tensor], Tensor]
    paths: dict[str, Tensor]


def paths_on_the_globe(
    trips: tuple[Trip, ...] = TRIPS, *, flow: Flow | None = None, steps: int = _TIMES, seed: int = 0
) -> GlobePaths:
    """Ways between places, and what is known about earthquakes there.

    The great circle knows nothing of the data. The optimised path minimises the energy of realism under the kernel
    density's index. The matched path, if a flow of the data is given, has the flow's law at every point when both its
    ends have it.

    Args:
        trips: Pairs of places.
        flow: A flow of the earthquakes on the sphere.
        steps: Points of each path.
        seed: Of what is drawn.

    Reference: the energy of arXiv 1904.03445 on the sphere; the matched path of arXiv 2408.08558 in the flow's base.
    """
    data, density = _earthquakes()
    start, end = from_lat_long(torch.tensor([trip.places for trip in trips])).unbind(1)
    paths = {"geodesic": interpolate(start, end, method="geodesic", space=density.space, steps=steps)}
    if flow is not None:
        with torch.no_grad():
            paths["matched"] = interpolate(start, end, method="matched", base=flow, steps=steps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        best = path_along_data(density_energy(density), data, start, end)
    return GlobePaths(trips, data, _remembered(density), paths | {"optimised": best(torch.linspace(0, 1, steps))})


def _earthquakes() -> tuple[Tensor, KernelDensity]:
    data = load_earth("earthquake").float()
    return data, smooth_density(data, Hypersphere(2), _WIDTH)


def _remembered(density: KernelDensity) -> Callable[[Tensor], Tensor]:
    """Its log density, not evaluated again at points it has seen: two pages show the same."""
    known: dict[bytes, Tensor] = {}

    def log_density(points: Tensor) -> Tensor:
        key = points.numpy().tobytes()
        if key not in known:
            known[key] = density.log_prob(points)
        return known[key]

    return log_density


def draw_globe(shown: GlobePaths, page: str = "light") -> Figure:
    """One globe for each trip, side by side, for a "light" or a "dark" page, as a figure of pyplot's.

    Args:
        shown: What `paths_on_the_globe` returns.
        page: "light" or "dark".

    Raises:
        ValueError: Another page.
    """
    with theme(page):
        figure = pyplot.figure(figsize=(5 * len(shown.trips), 5.4), layout="constrained")
        for i, (trip, ax) in enumerate(zip(shown.trips, figure.subplots(1, len(shown.trips), squeeze=False).flat)):
            drawing = plot_sphere(
                shown.data,
                density=shown.density,
                log_colours=True,
                paths=[paths[i] for paths in shown.paths.values()],
                labels=[_TITLES[method] for method in shown.paths],
                view=trip.view,
                land=True,
                ax=ax,
                s=2,
                alpha=0.35,
                color="#ffb000",
            )
            ax.set_title(f"{trip.start} to {trip.end}")
        drawing.add_colorbar("earthquakes' density per steradian", shrink=0.5)
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def globe_files(
    folder: Path,
    *,
    epochs: int = 6,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> PointsEvaluation:
    """Train a flow of earthquakes, join the places of the trips, draw the picture and write the report.

    Args:
        folder: An existing one: globe.png, globe_dark.png, report.html, and what the steps write: `model`, `paths` and
            `evaluation`.
        epochs: Of the flow, of 20 steps each.
        seed: Of everything.
        progress: Show progress bars.
        say: Called with a line before each part.
    """
    say("a flow of earthquakes")
    training = TrainSettings(epochs=epochs, batch_size=256, learning_rate=5e-3, warmup=10, patience=epochs, seed=seed)
    train_points_step(
        PointsChoice("earthquakes", seed=seed),
        folder / "model",
        model=ModelChoice("flow", training=training),
        progress=progress,
    )
    say("paths on the globe")
    start, end = ([",".join(map(str, trip.places[i])) for trip in TRIPS] for i in (0, 1))
    interpolate_points_step(
        folder / "model", folder / "paths", methods=list(_TITLES), start=start, end=end, steps=_TIMES, seed=seed
    )
    _, _, arrays = read_routes(folder / "paths")
    paths = {method: torch.from_numpy(arrays[method]["points"]) for method in _TITLES}
    data, density = _earthquakes()
    shown = GlobePaths(TRIPS, data, _remembered(density), paths)
    for page, name in (("light", "globe.png"), ("dark", "globe_dark.png")):
        figure = draw_globe(shown, page)
        figure.savefig(folder / name, dpi=100)
        pyplot.close(figure)
    say("their report")
    evaluate_points_step([folder / "model", folder / "paths"], folder / "evaluation", seed=seed, progress=progress)
    return write_points_report_files(folder / "evaluation", folder)
