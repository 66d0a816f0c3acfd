"""The commands on points of manifolds: from a file to a report, and what is refused with a remedy."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import manifoldflow as mf
from manifoldflow.cli import app
from manifoldflow.data import load_points
from manifoldflow.evaluation import quadrature
from manifoldflow.files import read_json, write_json
from manifoldflow.steps.points import PointsEvaluation, PointsRecord, load_points_run, read_points_evaluation

TINY = ["--epochs", "2", "--batch-size", "64", "--quiet"]


def arrays(path):
    """The arrays of an .npz file, which is closed."""
    with np.load(path) as file:
        return dict(file)


def run(*arguments, code=0):
    """The output of a command that ends in `code`; an error's message on one line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exit_code != code:
        raise AssertionError(f"{arguments}: exit code {result.exit_code}: {result.output}") from result.exception
    return " ".join(result.output.split()) if code else result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Places around two cities, a flow and a kernel density of them, and paths through the flow."""
    folder = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(0)
    middles = np.array([[35.7, 139.7], [-33.4, -70.7]])
    degrees = middles[rng.integers(0, 2, 200)] + rng.normal(0, 4, (200, 2))
    rows = "\n".join(f"{i},{a:.4f},{b:.4f}" for i, (a, b) in enumerate([*degrees, *degrees[:20]]))
    (folder / "places.csv").write_text(f"id,lat,lon\n{rows}\n")
    data = ["--data", folder / "places.csv", "--space", "sphere", "--quiet"]
    run("train", *data, "--out", folder / "flow", *TINY)
    run("train", *data, "--model", "mixture", "--components", 2, "--out", folder / "mixture")
    paths = ["--method", "geodesic", "--method", "matched", "--from", "35.7,139.7", "--to", "-33.4,-70.7", "--steps", 5]
    run("interpolate", folder / "flow", *paths, "--out", folder / "paths", "--quiet")
    return folder


def test_training_records_what_it_read_and_found(folder):
    record = PointsRecord.from_json(json.loads((folder / "flow" / "manifoldflow.json").read_text()))
    assert record.model == "flow"
    assert record.points == {"train": 176, "validation": 22, "test": 22}
    assert record.summary.copies == 20
    assert record.summary.left_aside == ("id",)
    assert record.split == load_points(folder / "places.csv", "sphere").split(0).hash
    assert record.result.epochs == 2
    assert record.result.control_nll.value < 5


def test_a_model_is_what_was_trained(folder):
    split = load_points(folder / "places.csv", "sphere").split(0)
    for name in ("flow", "mixture"):
        model = load_points_run(folder / name)
        with torch.no_grad():
            found = -model.model.distribution.log_prob(split.test.points.to(model.model.dtype)).double().mean()
        assert float(found) == pytest.approx(model.record.result.test_nll.value, abs=1e-5)


def test_samples_come_in_the_units_of_the_data(folder):
    run("sample", folder / "mixture", "--count", 50, "--out", folder / "samples", "--quiet")
    found = load_points(folder / "samples" / "samples.csv", "sphere")
    points = arrays(folder / "samples" / "samples.npz")["points"]
    np.testing.assert_allclose(found.points.numpy(), points, atol=1e-6)
    near = mf.data.to_lat_long(found.points)[:, 0]
    assert bool(((near - 35.7).abs().minimum((near + 33.4).abs()) < 25).all())


def test_densities_on_a_grid_and_at_points(folder):
    run("density", folder / "mixture", "--resolution", 60, "--out", folder / "grid.npz", "--quiet")
    grid = arrays(folder / "grid.npz")
    weights = np.cos(np.radians(grid["rows"][:, 0])) * (np.pi / 60) ** 2
    assert np.sum(weights * np.exp(grid["log_density"])) == pytest.approx(1, abs=0.01)
    text = run("density", folder / "mixture", "--at", folder / "places.csv", "--out", folder / "at.csv", "--json")
    record = json.loads(text)
    assert record["points"] == 220
    lines = (folder / "at.csv").read_text().splitlines()
    assert lines[1] == "latitude,longitude,log_density,density"
    assert float(lines[2].split(",")[2]) < 10
    run("density", folder / "mixture", "--resolution", 2, "--out", folder / "at.csv", "--quiet")  # its own is replaced
    assert "not what this command writes" in run("density", folder / "mixture", "--out", folder / "places.csv", code=1)
    assert "ends in .csv or .npz" in run("density", folder / "mixture", "--out", folder / "x.txt", code=1)


def test_paths_between_given_places(folder):
    with (folder / "paths" / "matched.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    first, last = rows[0], rows[-1]
    assert float(first["latitude"]) == pytest.approx(35.7, abs=0.1)
    assert float(last["longitude"]) == pytest.approx(-70.7, abs=0.1)
    record = json.loads((folder / "paths" / "manifoldflow.json").read_text())
    tokyo, santiago = mf.data.from_lat_long(torch.tensor([[35.7, 139.7], [-33.4, -70.7]]))
    assert record["lengths"]["geodesic"] == pytest.approx(
        float(mf.Hypersphere(2).metric.dist(tokyo, santiago)), abs=1e-3
    )
    assert set(record["typicality"]) == {"geodesic", "matched"}


def test_optimised_paths_between_held_out_points(folder):
    run(
        *("interpolate", folder / "mixture", "--method", "optimised", "--pairs", 2, "--steps", 4),
        *("--out", folder / "optimised", "--quiet"),
    )
    found = arrays(folder / "optimised" / "optimised.npz")
    assert found["points"].shape == (2, 4, 3)
    assert np.isfinite(found["log_density"]).all()


def test_evaluation_certifies_and_sets_the_control_beside(folder):
    run("interpolate", folder / "mixture", "--pairs", 3, "--out", folder / "ways", "--quiet")
    run("evaluate", folder / "mixture", folder / "ways", "--out", folder / "table", "--quiet")
    result = read_points_evaluation(folder / "table")
    assert [model.name for model in result.models] == ["mixture", "kernel density"]
    assert [model.is_control for model in result.models] == [False, True]
    for model in result.models:
        assert model.certificate.mass.value == pytest.approx(1, abs=0.02)
        assert model.certificate.split == result.split
        assert model.certificate.held_out == 22
        assert 0 < model.two_sample.p_value <= 1
        assert [level for level, _ in model.calibration] == [0.5, 0.9, 0.99]
    own = load_points_run(folder / "mixture")
    assert result.models[0].certificate.nll.value == pytest.approx(own.record.result.test_nll.value, abs=1e-9)
    points, weights = quadrature(mf.Hypersphere(2), 60)
    mass = (own.model.distribution.log_prob(points).exp() * weights).sum()
    assert float(mass) == pytest.approx(result.models[0].certificate.mass.value, abs=1e-3)
    assert PointsEvaluation.from_json(result.to_json()) == result
    with (folder / "table" / "table.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["mixture", "kernel density"]
    run("report", folder / "table", "--out", folder / "page", "--quiet")
    page = (folder / "page" / "report.html").read_text()
    assert "places" in page
    assert "http" not in page.split("<body")[1].split("<script")[0].replace("http://www.w3.org", "")


@pytest.mark.slow
def test_flows_are_certified_like_the_others(folder):
    places = ["--data", folder / "places.csv", "--space", "sphere", "--model", "matching", *TINY]
    run("train", *places, "--out", folder / "matching")
    run("evaluate", folder / "matching", folder / "paths", "--out", folder / "flows", "--quiet")
    result = read_points_evaluation(folder / "flows")
    assert [model.name for model in result.models] == ["flow matching", "flow", "kernel density"]
    for model in result.models:
        assert model.certificate.mass.value == pytest.approx(1, abs=0.02)
    solved = result.models[0].certificate
    assert solved.tolerance is not None
    assert abs(solved.tolerance_effect) < 1e-2
    run("report", folder / "flows", "--out", folder / "flows-page", "--quiet")
    assert "solver" in (folder / "flows" / "table.md").read_text()


def test_a_stopped_training_is_resumed_to_the_same_model(folder, monkeypatch):
    from manifoldflow.training.points import PointFlowModule

    data = ["--data", folder / "places.csv", "--space", "sphere", "--epochs", 3, "--batch-size", 64, "--quiet"]
    run("train", *data, "--out", folder / "whole")
    step, count = PointFlowModule.training_step, []

    def stop(self, *batch):
        count.append(1)
        if len(count) == 5:
            raise KeyboardInterrupt
        return step(self, *batch)

    monkeypatch.setattr(PointFlowModule, "training_step", stop)
    said = run("train", *data, "--checkpoint-every", 2, "--out", folder / "parts", code=130)
    assert "--resume" in said
    monkeypatch.undo()
    run("train", "--resume", "--out", folder / "parts", "--quiet")
    whole, parts = (load_points_run(folder / name).model.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("angles.tsv", ["--space", "torus", "--columns", "2-3", "--unit", "degrees", "--label", "1"]),
        ("shares.csv", ["--space", "simplex", "--zeros", "multiplicative"]),
        ("embeddings.npy", ["--space", "sphere", "--normalise"]),
        ("plain.csv", ["--space", "euclidean"]),
    ],
)
@pytest.mark.parametrize("model", ["flow", "matching", "mixture", "kde"])
def test_every_model_of_every_space_is_trained_and_drawn_from(tmp_path, name, arguments, model):
    rng = np.random.default_rng(0)
    path = tmp_path / name
    if name == "angles.tsv":
        path.write_text("\n".join(f"ab\t{a:.3f}\t{b:.3f}" for a, b in rng.normal(170, 30, (40, 2))))
    elif name == "shares.csv":
        counts = rng.poisson([20, 3, 9], (40, 3))
        path.write_text("specimen,a,b,c\n" + "\n".join(f"S{i},{a},{b},{c}" for i, (a, b, c) in enumerate(counts)))
    elif name == "embeddings.npy":
        np.save(path, rng.normal(2, 1, (40, 12)).astype(np.float32))
    else:
        path.write_text("x,y\n" + "\n".join(f"{a},{b}" for a, b in rng.normal(0, [1, 100], (40, 2))))
    few = ["--components", 2] if model == "mixture" else []
    out = tmp_path / "model"
    run("train", "--data", path, *arguments, "--model", model, *few, "--out", out, *TINY)
    run("sample", out, "--count", 5, "--out", tmp_path / "samples", "--quiet")
    drawn = arrays(tmp_path / "samples" / "samples.npz")["points"]
    space = load_points_run(out).model.space
    assert space.belongs(torch.from_numpy(drawn), atol=1e-4).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "digits", "--space", "sphere"], "digits holds images, and no points of a space"),
        (["train", "--data", "digits", "--model", "kde"], "--model: only for points; for a file of points add --space"),
        (["train", "--data", "digits", "--unit", "degrees"], "--unit: only for points"),
        (["train", "--data", "volcanoes", "--base", "vmf"], "--base: only for images"),
        (["train", "--data", "volcanoes", "--levels", "3"], "--levels: only for images"),
        (["train", "--data", "volcanoes", "--space", "torus"], "space: volcanoes are points of the sphere, got torus"),
        (["train", "--data", "volcanoes", "--model", "glow"], "model: expected one of"),
        (
            ["train", "--data", "volcanoes", "--model", "kde", "--components", "3"],
            "components: only a mixture has them",
        ),
        (
            ["train", "--data", "absent.csv", "--model", "kde"],
            "--model: only for points; for a file of points add --space",
        ),
        (["train", "--data", "absent.csv", "--space", "sphere"], "data: expected earthquakes, volcanoes, compositions"),
        (["sample", "FLOW", "--temperature", "0.5"], "--temperature: only for images"),
        (["interpolate", "FLOW", "--gif"], "--gif: only for images"),
        (["interpolate", "FLOW", "--from", "1,2"], "--from, --to: expected as many of one as of the other"),
        (["interpolate", "FLOW", "--from", "1,2", "--to", "3"], "--to: expected 2 numbers separated by commas"),
        (["interpolate", "FLOW", "--from", "91,2", "--to", "3,4"], "--from: latitude: expected -90 to 90 degrees"),
        (["interpolate", "FLOW", "--pairs", "40"], "40 pairs need 80 held-out points, got 22"),
        (["interpolate", "MIXTURE", "--method", "matched"], "'matched' (matched is for a base with a lift)"),
        (["evaluate", "PATHS/nothing"], "expected a folder written by"),
        (["solve", "FLOW", "FLOW"], "is a model of points, and this needs one of images"),
    ],
)
def test_wrong_combinations_are_refused_with_the_remedy(folder, tmp_path, arguments, message):
    places = {"FLOW": folder / "flow", "MIXTURE": folder / "mixture", "PATHS/nothing": folder / "absent"}
    said = run(*(places.get(a, a) for a in arguments), "--out", tmp_path / "out", code=1)
    assert message in said
    assert not (tmp_path / "out").exists()


def test_models_of_other_points_are_not_compared(folder, tmp_path):
    path = tmp_path / "places.csv"
    path.write_text((folder / "places.csv").read_text())
    data = ["--data", path, "--space", "sphere", "--model", "mixture", "--components", 2, "--quiet"]
    run("train", *data, "--out", tmp_path / "first")
    run("evaluate", tmp_path / "first", "--out", tmp_path / "table", "--quiet")
    run("train", *data, "--seed", 1, "--out", tmp_path / "other")
    said = run("evaluate", tmp_path / "first", tmp_path / "other", "--out", tmp_path / "t", code=1)
    assert "have different training or test points" in said
    path.write_text(path.read_text() + "220,1,2\n")
    said = run("evaluate", tmp_path / "first", "--out", tmp_path / "again", code=1)
    assert "is not what" in said
    assert "train again" in said


def test_a_damaged_model_is_refused(folder, tmp_path):
    shutil.copytree(folder / "mixture", tmp_path / "model")
    run("sample", tmp_path / "model", "--out", tmp_path / "fine", "--quiet")
    path = tmp_path / "model" / "points.json"
    content = read_json(path)
    write_json(path, content | {"shapes": {**content["shapes"], "logits": [10**12]}})
    said = run("sample", tmp_path / "model", "--out", tmp_path / "bad", code=1)
    assert "far smaller than points.json describes" in said
    write_json(path, content | {"layout": {"kind": "maps"}})
    assert "layout: expected one of" in run("sample", tmp_path / "model", "--out", tmp_path / "bad", code=1)


def test_rows_without_a_coordinate_are_refused_or_skipped_where_densities_are_asked_for(folder, tmp_path):
    (tmp_path / "some.csv").write_text("lat,lon\n1,2\n3,\n5,6\n")
    asked = ["density", folder / "mixture", "--at", tmp_path / "some.csv", "--out", tmp_path / "at.csv"]
    assert "1 of 3 rows lack a coordinate" in run(*asked, code=1)
    run(*asked, "--missing", "skip", "--quiet")
    rows = list(csv.reader((tmp_path / "at.csv").read_text().splitlines()[2:]))
    assert [[round(float(x), 6) for x in row[:2]] for row in rows] == [[1, 2], [5, 6]]


def test_training_says_what_a_newcomer_needs_to_know(folder, tmp_path):
    data = ["--data", folder / "places.csv", "--space", "sphere"]
    said = " ".join(run("train", *data, "--out", tmp_path / "flow", *TINY[:-1]).split())
    assert "nats behind the kernel density" in said
    assert "train longer (--epochs" in said
    said = " ".join(run("train", *data, "--model", "kde", "--out", tmp_path / "kde").split())
    assert "of a kernel density" not in said
    said = " ".join(run("train", *data, "--model", "mixture", "--components", 2, "--out", tmp_path / "m").split())
    assert "Note: 2 components" in said


def test_two_folders_of_paths_of_one_model_keep_their_names(folder, tmp_path):
    paths = ["--method", "geodesic", "--from", "35.7,139.7", "--to", "0,0", "--steps", 5, "--quiet"]
    run("interpolate", folder / "flow", *paths, "--out", tmp_path / "elsewhere")
    run("evaluate", folder / "flow", folder / "paths", tmp_path / "elsewhere", "--out", tmp_path / "table", "--quiet")
    run("report", tmp_path / "table", "--out", tmp_path / "report", "--quiet")
    page = (tmp_path / "report" / "report.html").read_text()
    assert '"geodesic, flow"' in page
    assert '"geodesic, flow, elsewhere"' in page
