"""Figures hold what was asked for, where it belongs; what cannot be drawn is refused by name."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

import manifoldflow as mf
from manifoldflow.data import from_lat_long
from manifoldflow.plots import plot_path, plot_simplex, plot_sphere, plot_torus, theme
from manifoldflow.plots.sphere import _sides, coast_lines, unit_vectors
from manifoldflow.plots.torus import _in_square

matplotlib.use("Agg")
PROJECTIONS = {"globe": None, "mollweide": "mollweide", "3d": "3d"}


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def great_circle(count=50):
    start, end = torch.eye(3, dtype=torch.float64)[:2]
    return mf.Hypersphere(2).metric.geodesic(start, end)(torch.linspace(0, 1, count, dtype=torch.float64))


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sphere_draws_points_density_paths_and_land(projection, dtype):
    base = mf.VonMisesFisher(torch.eye(3, dtype=dtype)[0], torch.tensor(4.0, dtype=dtype))
    drawing = plot_sphere(
        base.sample((20,)),
        density=base,
        paths=great_circle(),
        projection=projection,
        land=True,
        labels=["a"],
        colorbar=True,
    )
    drawing.figure.canvas.draw()
    assert sum(len(artist.get_offsets()) for artist in drawing.points) == 20
    assert drawing.paths
    assert drawing.ax.get_legend_handles_labels()[1] == ["a"]
    # The largest pixel is near the density at the mode.
    assert drawing.density.get_clim()[1] == pytest.approx(float(base.log_prob(base.mode).exp()), rel=0.02)


def test_globe_shows_the_density_where_it_is():
    east = torch.tensor([0.0, 1.0, 0.0])
    drawing = plot_sphere(density=mf.VonMisesFisher(east, torch.tensor(50.0)), view=(0, 60))
    image = drawing.density.get_array()
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    side = np.linspace(-1, 1, image.shape[0])
    assert (side[column], side[row]) == pytest.approx((math.sin(math.radians(30)), 0), abs=0.01)
    assert np.ma.getmaskarray(image)[0, 0]  # beside the disk


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_logarithmic_colours_span_three_decades(projection):
    base = mf.VonMisesFisher(torch.eye(3)[0], torch.tensor(50.0))
    low, high = plot_sphere(density=base, projection=projection, view=(0, 0), log_colours=True).density.get_clim()
    assert high == pytest.approx(float(base.log_prob(base.mode).exp()), rel=0.05)
    assert high / low == pytest.approx(1000)


def test_theme_sets_paper_and_ink_and_puts_them_back():
    before = matplotlib.rcParams["figure.facecolor"]
    edges = {}
    for name in ("light", "dark"):
        with theme(name):
            drawing = plot_sphere(torch.eye(3), paths=great_circle())
            edges[name] = np.mean(drawing.background[0].get_edgecolor()[:3])
            assert (np.mean(matplotlib.colors.to_rgb(drawing.figure.get_facecolor())) > 0.5) == (name == "light")
    assert edges["light"] < 0.5 < edges["dark"]
    assert matplotlib.rcParams["figure.facecolor"] == before
    with pytest.raises(ValueError, match=r"name: expected 'light' or 'dark', got 'sepia'"):
        theme("sepia")


def test_north_is_up_and_east_is_right():
    drawing = plot_sphere(from_lat_long(torch.tensor([[0.0, 10.0], [10.0, 0.0]])), view=(0, 0))
    seen = np.concatenate([np.asarray(artist.get_offsets()) for artist in drawing.points])
    assert seen == pytest.approx(np.array([[math.sin(math.radians(10)), 0], [0, math.sin(math.radians(10))]]), abs=1e-6)


def test_hidden_points_are_dimmed():
    drawing = plot_sphere(torch.eye(3)[0] * torch.tensor([[1.0], [-1.0]]), view=(0, 0), alpha=0.8)
    hidden, seen = drawing.points
    assert len(hidden.get_offsets()) == len(seen.get_offsets()) == 1
    assert hidden.get_alpha() < 0.5 * seen.get_alpha()


@given(seed=st.integers(0, 2**31))
def test_lines_are_cut_at_the_horizon_and_nothing_is_lost(seed):
    rng = np.random.default_rng(seed)
    line = rng.normal(size=(12, 3))
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    pieces = _sides(line)
    assert sum(len(piece) for piece, _ in pieces) == len(line) + 2 * (len(pieces) - 1)
    for piece, seen in pieces:
        depth = piece[:, 2] if seen else -piece[:, 2]
        assert depth.min() > -1e-9
        assert np.linalg.norm(piece, axis=1) == pytest.approx(np.ones(len(piece)))


@given(seed=st.integers(0, 2**31))
def test_paths_on_the_square_stay_inside_and_keep_their_length(seed):
    line = np.random.default_rng(seed).normal(scale=4, size=(6, 2)).cumsum(0)
    pieces = _in_square(line)
    assert all(np.abs(piece).max() <= math.pi + 1e-9 for piece in pieces)
    length = sum(np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in pieces)
    assert length == pytest.approx(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def test_a_path_over_the_edge_of_the_map_is_cut():
    drawing = plot_sphere(
        paths=torch.as_tensor(unit_vectors(0, np.linspace(170, 190, 21)))[None], projection="mollweide"
    )
    assert len(drawing.paths) == 2
    for line in drawing.paths:
        assert np.ptp(line.get_xdata()) < 0.3


@pytest.mark.parametrize("projection", ["square", "3d"])
def test_torus_draws_points_density_and_paths(projection):
    drawing = plot_torus(
        torch.randn(30, 2) * 3,
        density=lambda x: x.cos().sum(-1),
        paths=torch.linspace(0, 7, 50)[:, None].expand(50, 2),
        projection=projection,
        labels=["a"],
        colorbar=True,
        names=("phi", "psi"),
    )
    drawing.figure.canvas.draw()
    assert sum(len(artist.get_offsets()) for artist in drawing.points) == 30
    assert drawing.ax.get_legend_handles_labels()[1] == ["a"]
    assert drawing.density.get_clim()[1] == pytest.approx(math.exp(2), rel=0.01)
    if projection == "square":
        assert drawing.ax.get_xlabel() == "phi (radians)"


def test_the_first_angle_is_across():
    image = plot_torus(density=lambda x: -50 * (x[:, 0] - 1).square() - 50 * (x[:, 1] + 2).square()).density.get_array()
    row, column = np.unravel_index(image.argmax(), image.shape)
    side = (np.arange(len(image)) + 0.5) / len(image) * 2 * math.pi - math.pi
    assert (side[column], side[row]) == pytest.approx((1, -2), abs=0.02)


def test_simplex_draws_points_density_and_paths():
    base = mf.Dirichlet(torch.tensor([4.0, 3.0, 2.0]))
    start, end = base.sample((2,))
    path = mf.Simplex(2).metric.geodesic(start, end)(torch.linspace(0, 1, 20))
    drawing = plot_simplex(base.sample((30,)), density=base, paths=path, labels=["a"], names=("x", "y", "z"))
    drawing.figure.canvas.draw()
    assert len(drawing.points[0].get_offsets()) == 30
    image = drawing.density.get_array()
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    mode = np.array([3, 2, 1]) / 6
    assert ((column + 0.5) / image.shape[1], (row + 0.5) / image.shape[0]) == pytest.approx(
        (mode[1] + mode[2] / 2, mode[2]), abs=0.01
    )
    assert {"← x", "y →", "z →"} <= {text.get_text() for text in drawing.ax.texts}


@pytest.mark.parametrize(("quantity", "unit"), [("norm", "norm"), ("density", "nats"), ("typicality", "typicality")])
def test_path_profile_has_the_base_once_and_one_curve_per_call(quantity, unit):
    base = mf.distributions.Gaussian(torch.zeros(16))
    start, end = base.sample((2, 40))
    axes = pyplot.figure().add_subplot()
    for method in ("linear", "matched"):
        plot_path(mf.interpolate(start, end, method=method), quantity=quantity, base=base, label=method, ax=axes)
    assert axes.get_legend_handles_labels()[1] == ["base: 5 to 95 %", "base: median", "linear", "matched"]
    assert unit in axes.get_ylabel()
    linear, matched = (line for line in axes.get_lines() if line.get_label() in ("linear", "matched"))
    assert linear.get_color() != matched.get_color()
    values = torch.linalg.vector_norm(mf.interpolate(start, end, method="matched"), dim=-1).median(0).values
    if quantity == "norm":
        assert matched.get_ydata() == pytest.approx(values.numpy(), abs=0.1)


def test_coast_lines_are_closed_rings_of_unit_vectors():
    rings = coast_lines()
    assert len(rings) > 100
    assert all(np.allclose(ring[0], ring[-1]) for ring in rings)
    assert np.linalg.norm(np.concatenate(rings), axis=1) == pytest.approx(1.0)


def test_functions_draw_on_the_axes_given():
    axes = pyplot.figure().add_subplot()
    for draw, points in ((plot_sphere, torch.eye(3)), (plot_torus, torch.zeros(2, 2)), (plot_simplex, torch.eye(3))):
        assert draw(points, ax=axes).ax is axes


BAD = {
    "projection": (
        lambda: plot_sphere(torch.eye(3), projection="flat"),
        ValueError,
        "projection: expected one of globe",
    ),
    "axes": (
        lambda: plot_sphere(torch.eye(3), projection="mollweide", ax=pyplot.figure().add_subplot()),
        ValueError,
        "ax: expected axes of matplotlib's projection 'mollweide'",
    ),
    "shape": (lambda: plot_sphere(torch.eye(2)), ValueError, r"points: expected shape \(..., 3\)"),
    "text": (lambda: plot_torus("angles"), TypeError, "points: expected a tensor or an array"),
    "nan": (lambda: plot_torus(torch.full((3, 2), math.nan)), ValueError, "points: expected finite"),
    "off": (lambda: plot_simplex(torch.ones(2, 3)), ValueError, "points: expected shares"),
    "density": (lambda: plot_torus(density=3), TypeError, "density: expected a distribution or a function"),
    "batch": (
        lambda: plot_sphere(density=mf.VonMisesFisher(torch.eye(3), torch.tensor(1.0))),
        ValueError,
        "density: expected one distribution, got a batch",
    ),
    "several": (
        lambda: plot_torus(density=lambda x: x),
        ValueError,
        "density: expected one log density per point",
    ),
    "labels": (lambda: plot_sphere(paths=great_circle(), labels=["a", "b"]), ValueError, "labels: expected one"),
    "quantity": (lambda: plot_path(torch.randn(5, 3), quantity="mood"), ValueError, "quantity: expected one of norm"),
    "base": (lambda: plot_path(torch.randn(5, 3), quantity="density"), ValueError, "pass base="),
    "times": (lambda: plot_path(torch.randn(5, 3), [0, 1]), ValueError, r"times: expected shape \(5,\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
