"""The demo's globe: the picture on both kinds of page, the paths that it shows, and their report."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot

import manifoldflow as mf
from manifoldflow.data import from_lat_long, load_earth
from manifoldflow.distributions import KernelDensity
from manifoldflow.manifolds import Hypersphere
from manifoldflow.steps.globe import TRIPS, GlobePaths, Trip, draw_globe, globe_files
from manifoldflow.steps.points import read_points_evaluation
from manifoldflow.steps.points.along import density_energy, path_along_data, smooth_density


def test_paths_keep_to_the_data_and_the_globe_shows_them():
    """Data along a right angle: the cheapest path between its ends turns the corner."""
    torch.manual_seed(0)
    corner = torch.tensor([[0.0, 0.0], [0.0, 60.0], [60.0, 60.0]])
    share = torch.rand(200, 1)
    data = from_lat_long(torch.cat([corner[i] + share * (corner[i + 1] - corner[i]) for i in (0, 1)]))
    start, end = from_lat_long(corner[[0, 2]]).split(1)
    density = smooth_density(torch.cat([data, data[:50]]), Hypersphere(2), 0.1)
    assert len(density.points) == 400  # copies count as weight
    path = path_along_data(density_energy(density), data, start, end)(torch.linspace(0, 1, 61))
    straight = mf.interpolate(start, end, method="geodesic", space=Hypersphere(2), steps=61)
    assert float(density.log_prob(path).amin()) > float(density.log_prob(straight).amin()) + 2
    trip = Trip("here", "there", ((0, 0), (60, 60)), (30, 40))
    shown = GlobePaths((trip,), data, density.log_prob, {"geodesic": straight, "optimised": path})
    for page, paper in (("light", 1.0), ("dark", 0.05)):
        figure = draw_globe(shown, page)
        assert figure.get_facecolor()[0] == pytest.approx(paper, abs=0.01)
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["great circle", "optimised for realism"]
        pyplot.close(figure)


@pytest.fixture(scope="module")
def globe(tmp_path_factory):
    """The demo's globe, of a flow that saw the data once."""
    folder = tmp_path_factory.mktemp("globe")
    globe_files(folder, epochs=1)
    return folder


@pytest.mark.slow
def test_the_picture_comes_for_light_and_for_dark_pages(globe):
    light, dark = (pyplot.imread(globe / name) for name in ("globe.png", "globe_dark.png"))
    assert light.shape == dark.shape == (540, 1000, 4)
    assert light[0, 0, :3].min() > 0.95
    assert dark[0, 0, :3].max() < 0.2


@pytest.mark.slow
def test_paths_join_the_places_and_the_optimised_one_keeps_to_the_earthquakes(globe):
    density = KernelDensity(load_earth("earthquake").float(), 0.05, uniform_share=0.01)
    ends = from_lat_long(torch.tensor([trip.places for trip in TRIPS]))
    sparsest = {}
    for method in ("geodesic", "matched", "optimised"):
        with np.load(globe / "paths" / f"{method}.npz") as file:
            points = torch.from_numpy(file["points"])
        assert points.shape == (2, 121, 3)
        torch.testing.assert_close(points[:, [0, -1]], ends, atol=1e-3, rtol=0)
        sparsest[method] = density.log_prob(points).amin(-1)
    assert bool((sparsest["optimised"] > sparsest["geodesic"] + 1).all())


@pytest.mark.slow
def test_its_report_compares_the_flow_with_the_control_and_names_the_trips(globe):
    result = read_points_evaluation(globe / "evaluation")
    assert [model.is_control for model in result.models] == [False, True]
    page = (globe / "report.html").read_text()
    for trip in TRIPS:
        (a, b), (c, d) = trip.places
        assert f"{a},{b} to {c},{d}" in page
