"""The page about points: what stands in it, what cannot break out of it, and that it asks for nothing else."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import manifoldflow as mf
from manifoldflow.distributions import Gaussian, SphericalUniform, VonMises
from manifoldflow.evaluation import highest_density_region
from manifoldflow.evaluation.certify import Estimate
from manifoldflow.report import ModelShown, PathShown, PointsPage, density_shade, write_points_report
from manifoldflow.report.points.sentences import points_findings
from manifoldflow.report.points.views import HEIGHT, view_of

from .pages_of_points import certificate, page_on, sphere_page


def angles(count):
    return VonMises(torch.zeros(count), torch.tensor(0.5))


NAME = """</script><script>alert(1)</script> & "quoted" 'name'"""
EVERY_SPACE = {
    "sphere": (mf.Hypersphere(2), mf.VonMisesFisher(torch.eye(3)[0], torch.tensor(2.0))),
    "circle": (mf.Hypersphere(1), mf.VonMisesFisher(torch.eye(2)[0], torch.tensor(2.0))),
    "embeddings": (mf.Hypersphere(15), mf.VonMisesFisher(torch.eye(16)[0], torch.tensor(9.0))),
    "angle": (mf.Torus(1), angles(1)),
    "torus": (mf.Torus(2), angles(2)),
    "angles": (mf.Torus(7), angles(7)),
    "composition": (mf.Simplex(2), mf.Dirichlet(torch.tensor([2.0, 3.0, 4.0]))),
    "parts": (mf.Simplex(5), mf.Dirichlet(torch.full((6,), 2.0))),
    "plane": (mf.Euclidean(2), mf.distributions.Gaussian(torch.zeros(2))),
    "latents": (mf.Euclidean(9), mf.distributions.Gaussian(torch.zeros(9))),
}


def written(page, folder):
    return write_points_report(page, folder).read_text(encoding="utf-8")


def map_in(text):
    return json.loads(re.search(r'id="explorer-data">(.*?)</script>', text, re.DOTALL)[1])


def column(text, axis):
    """As the page's script reads it."""
    whole = np.frombuffer(base64.b64decode(text), "<i2").astype(float)
    return np.where(
        whole == -32768, np.nan, (axis["high"] + axis["low"]) / 2 + whole * (axis["high"] - axis["low"]) / 65534
    )


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.mark.parametrize("kind", EVERY_SPACE)
def test_a_page_of_every_space_is_small_and_asks_for_nothing(kind, tmp_path):
    space, law = EVERY_SPACE[kind]
    text = written(page_on(space, law), tmp_path)
    assert len(text) < 1_000_000
    tags = Tags()
    tags.feed(text)
    addresses = [a[key] for _, a in tags.found for key in ("src", "href", "action", "srcset") if key in a]
    assert len(addresses) >= 2
    assert all(address.startswith("data:") for address in addresses)
    assert not re.search(r"""url\(|@import|\bfetch\(|["'(]https?://(?!www\.w3\.org/)""", text)
    data = map_in(text)
    for one in [*data["layers"], *data["models"]]:
        places = [column(c, axis) for c, axis in zip(one["columns"], data["axes"])]
        assert {len(p) for p in places} == {one["shown"]}
        assert np.isfinite(places).all(0).mean() > 0.9  # points far outside the map are left out
    assert json.dumps(data, allow_nan=False)


def test_coordinates_are_those_of_the_points(tmp_path):
    page = sphere_page()
    data = map_in(written(page, tmp_path))
    longitude, latitude = (column(c, a) for c, a in zip(data["paths"][0]["points"][0], data["axes"]))
    np.testing.assert_allclose(longitude, np.linspace(0, 90, 11), atol=0.006)
    np.testing.assert_allclose(latitude, 0, atol=0.003)
    assert data["times"] == pytest.approx(np.linspace(0, 1, 11), abs=1e-6)
    assert data["paths"][0]["typicality"][0] == pytest.approx(np.linspace(0, 1, 11), abs=1e-4)
    assert data["models"][data["first"]]["name"] == "von Mises-Fisher"
    assert sum(len(base64.b64decode(ring[0])) // 2 for ring in data["land"]) > 4000
    assert map_in(written(replace(page, land=False), tmp_path))["land"] == []


@pytest.mark.parametrize(
    ("space", "law", "end"),
    [
        (mf.Euclidean(2), Gaussian(torch.zeros(2)), [4.0, 0.0]),
        (mf.Euclidean(4), Gaussian(torch.zeros(4)), [3.0, 3.0, 0.0, 0.0]),
        (mf.Simplex(3), mf.Dirichlet(torch.full((4,), 50.0)), [0.12, 0.28, 0.3, 0.3]),
    ],
)
def test_ends_outside_the_data_are_on_the_map(space, law, end, tmp_path):
    torch.manual_seed(3)
    train = law.sample((80,)).numpy()
    share = np.linspace(0, 1, 5)[:, None]
    way = (train[0] * (1 - share) + np.array(end) * share)[None]
    models = (ModelShown(certificate("the law", 1.0), train, density_shade(law, train, paths=[way], draws=200)),)
    data = map_in(written(PointsPage("points", space, train, train, models, (PathShown("a way", way),)), tmp_path))
    for places, axis in zip(data["paths"][0]["points"][0], data["axes"]):
        assert (column(places, axis) >= axis["low"]).all()
    shape = data["models"][0]["shape"]
    assert shape is None or shape == [160, 160]


def test_no_name_breaks_out_of_the_page(tmp_path):
    page = sphere_page()
    (first, second), (path, _) = page.models, page.paths
    models = (replace(first, certificate=certificate(NAME, 2.5)), second)
    hostile = replace(
        page, name=NAME, models=models, paths=(replace(path, name=NAME, model=NAME),), pair_titles=(NAME, NAME)
    )
    text = written(replace(hostile, notes=(NAME,), settings={NAME: NAME}), tmp_path)
    assert text.count("<script") == 2
    assert "alert(1)</script>" not in text
    data = map_in(text)
    assert data["paths"][0]["name"] == data["pairs"][0] == data["models"][0]["name"] == NAME
    assert text.count("&lt;/script&gt;&lt;script&gt;alert(1)") > 6


def test_the_policy_names_this_script_and_this_style(tmp_path):
    from manifoldflow.report.page import content_policy

    text = written(sphere_page(), tmp_path)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    script = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]
    assert content_policy(style, script) in text.replace("&#39;", "'")
    assert "geoOrthographic" in script
    flat = written(page_on(*EVERY_SPACE["torus"]), tmp_path)
    assert "geoOrthographic" not in flat


def test_shading_is_the_level_of_the_highest_density_region():
    """Level 0 at the mode, 254 p on the border of the region of mass p, 254 where no draw is as sparse."""
    torch.manual_seed(3)
    law = mf.VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(8.0))
    shade = density_shade(law, law.sample((10,)).numpy(), draws=20_000)
    assert shade.shape == (180, 360)
    assert shade.dtype == np.uint8
    assert shade[-1].max() <= 2
    assert shade[0].min() >= 253
    # The density depends on the latitude alone: mass above latitude b is (1 - e^(k (sin b - 1))) / (1 - e^(-2 k)).
    latitude = np.radians(np.arange(-89.5, 90))
    exact = 254 * (1 - np.exp(8 * (np.sin(latitude) - 1))) / (1 - np.exp(-16.0))
    np.testing.assert_allclose(shade[:, 0], exact, atol=4)  # 1.5 % of draws
    region = highest_density_region(law, 0.9, samples=20_000)
    nodes = torch.from_numpy(view_of(law.manifold, np.zeros((1, 3)), (), np.zeros((0, 3))).nodes[:, 0]).float()
    inside = region.contains(nodes).numpy()
    np.testing.assert_array_equal(
        inside[np.abs(exact - 0.9 * 254) > 4], (shade[:, 0] <= 0.9 * 254)[np.abs(exact - 0.9 * 254) > 4]
    )


def test_densities_of_more_than_two_dimensions_are_not_shaded():
    assert density_shade(SphericalUniform(2), np.zeros((1, 3)), draws=100) is not None
    assert density_shade(SphericalUniform(3), np.zeros((1, 4)), draws=100) is None
    assert density_shade(angles(3), np.zeros((1, 3)), draws=100) is None


def test_shades_of_a_triangle_stay_inside_it():
    law = mf.Dirichlet(torch.tensor([2.0, 3.0, 4.0]))
    shade = density_shade(law, law.sample((10,)).numpy(), draws=500)
    assert (shade == 255).mean() == pytest.approx(0.5, abs=0.02)
    assert (shade[0] != 255).mean() > 0.9
    assert (shade[-1] != 255).mean() < 0.05
    view = view_of(mf.Simplex(2), np.eye(3), ("a", "b", "c"), np.zeros((0, 3)))
    np.testing.assert_allclose(view.columns(np.eye(3)), [[0, 0], [1, 0], [0.5, HEIGHT]])


def test_findings_follow_the_figures():
    def said(*changes, **page):
        whole = sphere_page()
        models = tuple(replace(m, certificate=replace(m.certificate, **c)) for m, c in zip(whole.models, changes))
        return " ".join(points_findings(replace(whole, models=models, **page)))

    plain = said({}, {})
    assert "Von Mises-Fisher has the lowest held-out negative log-likelihood: 1.250 ± 0.100 nats." in plain
    assert "1.280 nats below the control, uniform (2.530 ± 0.100)" in plain
    assert "No held-out point is an exact copy" in plain
    assert "Every density integrates to one" in plain
    assert "does not tell samples of uniform (p = 0.400) and von Mises-Fisher (p = 0.400)" in plain
    assert "Typicality halfway, mean over the pairs (0.5 for draws, near 0 off the data): geodesic 0.50" in plain

    assert "Uniform, the control, has the lowest" in said({"nll": Estimate(0.5, 0.1)}, {})
    assert "No model here beats the control." in said({"nll": Estimate(0.5, 0.1)}, {})
    near = said({"nll": Estimate(1.3, 0.1)}, {})
    assert "Within 2 standard errors of it: uniform (1.300 ± 0.100)." in near
    assert "No model here clearly beats the control." in near
    assert "below the control" not in near
    copies = said({"copies": 0.25}, {"copies": 0.25})
    assert "25.0% of the held-out points are exact copies" in copies
    assert "Without them: von Mises-Fisher 1.750 ± 0.100; uniform 3.030 ± 0.100." in copies
    off = said({}, {"mass": Estimate(1.2, 0.001)})
    assert (
        "von Mises-Fisher integrates to 1.2000 ± 0.001, not to one: its negative log-likelihood is 0.182 nats too low"
        in off
    )
    assert "The density of uniform integrates to one" in off
    assert "could not be told for uniform (0.9000 ± 0.2)" in said({"mass": Estimate(0.9, 0.2)}, {})
    assert "What the density of uniform integrates to, importance sampling could not find" in said({"mass": None}, {})
    assert "moves the likelihood of uniform by +0.030 nats" in said({"tolerance": 1e-3, "tolerance_effect": 0.03}, {})
    assert "Halving" not in said({"tolerance": 1e-3, "tolerance_effect": 0.003}, {})


def test_findings_name_samples_and_regions_that_are_off():
    page = sphere_page()
    first, second = page.models
    off = replace(first, two_sample_p=0.01, calibration=((0.9, Estimate(0.5, 0.02)),))
    found = " ".join(points_findings(replace(page, models=(off, second))))
    assert "Samples of uniform (p = 0.010) differ from held-out points" in found
    assert "uniform's 90% region holds 50.0% ± 2.0%" in found
    assert "hold as many held-out points as they should" in " ".join(points_findings(page))


def test_what_does_not_fit_is_refused_by_name():
    page = sphere_page()
    nan = np.array(page.train)
    nan[3, 1] = np.nan
    path = page.paths[0]
    for wrong, message in (
        ({"train": page.train[:, 0]}, "train: expected points"),
        ({"held_out": page.held_out[:, :2]}, "held_out: expected points"),
        ({"train": nan}, "train: expected finite numbers"),
        ({"models": ()}, "models: expected at least one"),
        ({"models": (page.models[0], page.models[0])}, "models: expected names that differ"),
        ({"pair_titles": ("one",)}, "pair_titles: expected one for each of 2 pairs"),
        ({"names": ("x",)}, "names: expected one for each of 3"),
        (
            {"paths": (path, replace(path, points=path.points[:, :5]))},
            r"paths\[1\].points: expected the pairs and times",
        ),
        ({"paths": (replace(path, typicality=np.zeros((2, 3))),)}, r"paths\[0\].typicality: expected shape"),
        ({"paths": (replace(path, model="none"),)}, r"paths\[0\].model: expected one of uniform"),
    ):
        assert isinstance(replace(page), PointsPage)
        with pytest.raises(ValueError, match=message):
            replace(page, **wrong)
    with pytest.raises(TypeError, match="space: expected a Manifold"):
        replace(page, space="sphere")
    with pytest.raises(TypeError, match="page: expected a PointsPage"):
        write_points_report("page", "folder")


def test_a_page_without_paths_and_with_many(tmp_path):
    page = sphere_page()
    text = written(replace(page, paths=(), pair_titles=()), tmp_path)
    assert 'id="time"' not in text
    assert "Typicality along each path" not in text
    many = tuple(PathShown(f"path {i}", page.paths[0].points) for i in range(9))
    data = map_in(written(replace(page, paths=many), tmp_path))
    looks = {(p["colour"], p["dashes"]) for p in data["paths"]}
    assert len(looks) == 9


def test_a_large_data_set_stays_under_two_megabytes(tmp_path):
    torch.manual_seed(2)
    law, space = angles(7), mf.Torus(7)
    train, held_out = law.sample((20_000,)).numpy(), law.sample((2_000,)).numpy()
    models = tuple(
        ModelShown(certificate(name, 1.0), law.sample((3_000,)).numpy())
        for name in ("flow", "mixture", "kernel", "ncsf")
    )
    paths = tuple(PathShown(name, np.zeros((30, 101, 7)), np.zeros((30, 101))) for name in "abc")
    text = written(PointsPage("rna", space, train, held_out, models, paths), tmp_path)
    assert len(text) < 2_000_000
    data = map_in(text)
    assert len(data["pairs"]) == 12
    assert "4,000 of 20,000 drawn" in text
