"""End points from a trained model, and a job over them with features, by step and by command."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from manifoldflow.cli import app
from manifoldflow.distributions import VonMisesFisher
from manifoldflow.errors import DataError
from manifoldflow.jobs import EndPoints
from manifoldflow.steps import ends_step, load_run, solve_step
from manifoldflow.training import train_classifier


@pytest.fixture(scope="module")
def model(demo):
    return demo[0] / "models" / "vmf"


@pytest.mark.parametrize("pairs", [50, 800])
def test_pairs_of_encoded_images(model, tmp_path, pairs):
    """More pairs than images are had in rounds; none starts a second path before all have one."""
    ends_step(model, tmp_path / "ends", pairs=pairs, seed=4)
    ends = EndPoints(tmp_path / "ends")
    run = load_run(model)
    test = run.load_data()[2]
    assert (ends.rows, ends.shape) == (pairs, (65,))
    index = torch.from_numpy(np.load(tmp_path / "ends" / "pair_index.npy"))
    labels = test.labels[index]
    assert (labels[:, 0] != labels[:, 1]).all()
    counts = torch.bincount(index[:, 0], minlength=len(test))
    assert counts.max() <= -(-pairs // (0.8 * len(test)))
    for which, points in enumerate(ends.read(0, pairs - 1)):
        images = run.flow.decode(torch.from_numpy(points))
        shown = (images * run.levels).floor().to(torch.uint8)
        off = (shown != test.images[index[:, which]]).flatten(1)
        assert off.float().mean() < 1e-3  # rounding carries a pixel over the edge of its cell now and then


def test_draws_from_the_base(model, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ends_step(model, tmp_path / f"{name}", pairs=600, seed=seed, from_base=True)
    (a, end), (b, _), (c, _) = (EndPoints(tmp_path / f"{name}").read(0, 599) for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert len(np.unique(np.concatenate([a, end, c]), axis=0)) == 1800
    base = load_run(model).flow.base
    assert isinstance(base, VonMisesFisher)
    cosine = torch.from_numpy(np.concatenate([a, end])) @ base.loc
    # Five standard errors: a false alarm in 2 million.
    error = 5 * float(base.cosine_variance.sqrt()) / 1200**0.5
    assert abs(float(cosine.mean() - base.mean_resultant_length)) < error


def test_ends_are_refused_by_name_and_nothing_is_overwritten(model, tmp_path):
    (tmp_path / "old").write_bytes(b"precious")
    for settings, message in (
        ({"out": tmp_path / "old", "pairs": 4}, "old exists and is not a folder"),
        ({"out": tmp_path, "pairs": 4}, "holds files that manifoldflow did not write"),
        ({"out": tmp_path / "ends", "pairs": 0}, "pairs: expected at least 1, got 0"),
        ({"out": tmp_path / "ends", "pairs": 4, "data": "mnist", "from_base": True}, "data: draws from the base"),
    ):
        with pytest.raises(DataError, match=message):
            ends_step(model, **settings)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_features_of_a_classifier_are_kept_with_its_weights(model, tmp_path, monkeypatch):
    ends_step(model, tmp_path / "ends", pairs=20)
    monkeypatch.setitem(train_classifier.__kwdefaults__, "steps", 5)
    settings = {"method": "geodesic", "steps": 3, "chunk": 8, "store": ("images", "values"), "extractor": "classifier"}
    record = solve_step(model, tmp_path / "ends", tmp_path / "out", progress=False, **settings)
    assert len(record["result"]["mean_bpd"]) == 3
    features = np.load(tmp_path / "out" / "features.npy")
    assert features.shape == (20, 3, 32)
    moved = np.linalg.norm(np.diff(features, axis=1), axis=-1).sum(1)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "feature_length.npy"), moved, rtol=1e-5)
    assert (tmp_path / "out" / "classifier.safetensors").is_file()


def test_commands_in_a_row(model, tmp_path):
    ends, out = str(tmp_path / "ends"), tmp_path / "out"
    result = CliRunner().invoke(app, ["ends", str(model), "--pairs", "6", "--out", ends])
    assert result.exit_code == 0
    solve = ["solve", str(model), ends, "--out", str(out), "--accelerator", "cpu"]
    options = ["--method", "typical-curve", "--option", "segments=4", "--option", "max_iterations=3", "--option"]
    result = CliRunner().invoke(app, [*solve, *options, "index=typical", "--store", "points"])
    assert result.exit_code == 0, result.output
    assert "6 rows by typical-curve" in result.output
    assert json.loads((out / "manifoldflow.json").read_text())["settings"]["options"] == {
        "segments": 4,
        "max_iterations": 3,
        "index": "typical",
    }
    assert np.load(out / "energy.npy").shape == (6,)
    assert np.load(out / "iterations.npy").max() <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--option", "horizon"], "option: expected NAME=VALUE, got 'horizon'"),
        (["--weights", "w.pth"], "weights: only --features inception takes them"),
        (["--method", "bridge"], "method: expected one of"),
        (["--strategy", "teleport"], "devices, strategy: Lightning cannot run on"),
        (["--accelerator", "abacus"], "devices, strategy: Lightning cannot run on"),
    ],
)
def test_wrong_options_are_one_line(model, tmp_path, options, message):
    ends = str(tmp_path / "ends.npz")
    points = load_run(model).flow.base.sample((2,)).numpy()
    np.savez(ends, start=points, end=points)
    result = CliRunner().invoke(app, ["solve", str(model), ends, "--out", str(tmp_path / "out"), "--quiet", *options])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
