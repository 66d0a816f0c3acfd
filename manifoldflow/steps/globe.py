"""The library in one picture: earthquakes, their density, and three ways from one place on the globe to another."""

from dataclasses import dataclass

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import Tensor

from ..data import from_lat_long, load_earth
from ..distributions import KernelDensity
from ..flows import Flow
from ..interpolation import GraphStart, interpolate, optimise, realism_energy
from ..manifolds import Hypersphere
from ..plots import plot_sphere, theme
from ..realism import density_index

__all__ = ["GlobePaths", "Trip", "draw_globe", "paths_on_the_globe"]

_WIDTH = 0.05
"""Radians, 320 km: the likeliest width is as small as one allows, since many places stand in the data twice."""
_TITLES = {"geodesic": "great circle", "matched": "matched, through a flow", "optimised": "optimised for realism"}


@dataclass(frozen=True)
class Trip:
    """Two places, and where to look at the globe from.

    Args:
        start, end: Names.
        places: Latitude and longitude of both in degrees.
        view: Latitude and longitude of the middle of the picture in degrees.
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
        density: Their kernel density.
        paths: From a method to its paths `(trips, steps, 3)`.
        lengths: From a method to the realism length of its paths `(trips,)`: the integral of -log of the index along
            the path, in radians; 0 is a path through the densest places only.
    """

    trips: tuple[Trip, ...]
    data: Tensor
    density: KernelDensity
    paths: dict[str, Tensor]
    lengths: dict[str, Tensor]


def paths_on_the_globe(
    trips: tuple[Trip, ...] = TRIPS, *, flow: Flow | None = None, samples: int = 1500, steps: int = 121, seed: int = 0
) -> GlobePaths:
    """Ways between places, and what is known about earthquakes there.

    The great circle knows nothing of the data. The optimised path minimises the energy of realism under the kernel
    density's index. The matched path, if a flow of the data is given, has the flow's law at every point when both its
    ends have it.

    Args:
        trips: Pairs of places.
        flow: A flow of the earthquakes on the sphere.
        samples: How many of them the search for a start goes through.
        steps: Points of each path.
        seed: Of what is drawn.

    Reference: the energy of arXiv 1904.03445 on the sphere; the matched path of arXiv 2408.08558 in the flow's base.
    """
    space = Hypersphere(2)
    data = load_earth("earthquake").float()
    density = KernelDensity(data, _WIDTH, uniform_share=0.01)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        energy = realism_energy(density_index(density, samples=4000), space=space, pieces=2)
        chosen = data[torch.randperm(len(data))[:samples]]
    start, end = from_lat_long(torch.tensor([trip.places for trip in trips])).unbind(1)
    paths = {"geodesic": interpolate(start, end, method="geodesic", space=space, steps=steps)}
    if flow is not None:
        paths["matched"] = interpolate(start, end, method="matched", base=flow, steps=steps)
    best = optimise(energy, start, end, segments=48, starts=GraphStart(energy, chosen, neighbours=12), progress=False)
    paths["optimised"] = best(torch.linspace(0, 1, steps))
    with torch.no_grad():
        lengths = {method: energy.length(path) for method, path in paths.items()}
    return GlobePaths(trips, data, density, paths, lengths)


def draw_globe(shown: GlobePaths, page: str = "light") -> Figure:
    """One globe for each trip, side by side, for a "light" or a "dark" page, as a figure of pyplot's."""
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
