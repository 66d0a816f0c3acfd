"""The steps of the main job: what each leaves, that it is consistent, and that nothing is half written."""

import csv
import json
import os
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from manifoldflow.data import DATA_SETS
from manifoldflow.errors import DataError
from manifoldflow.files import write_json
from manifoldflow.steps import (
    DataChoice,
    evaluate_step,
    interpolate_step,
    load_run,
    report_step,
    sample_step,
    train_step,
)
from manifoldflow.training import TrainSettings, train_classifier

PATHS = [
    ("Gaussian", "linear"),
    ("Gaussian", "norm-corrected"),
    ("Gaussian", "slerp"),
    ("Gaussian", "matched"),
    ("von Mises-Fisher", "slerp (geodesic)"),
    ("von Mises-Fisher", "matched"),
    ("Dirichlet", "linear"),
    ("Dirichlet", "Fisher-Rao geodesic"),
    ("Dirichlet", "matched"),
]


def test_the_demo_leaves_page_table_figures_and_record(demo):
    out, _ = demo
    for name in ("report.html", "table.csv", "evaluation.json", "manifoldflow.json"):
        assert (out / name).is_file(), name
    pictures = sorted(p.name for p in (out / "figures").glob("*.png"))
    assert "profile.png" in pictures
    assert "strips.png" in pictures
    for picture in pictures:
        with Image.open(out / "figures" / picture) as image:
            assert min(image.size) > 100
    record = json.loads((out / "manifoldflow.json").read_text())
    assert record["command"] == "demo"
    assert record["settings"]["seed"] == 0
    assert {"torch", "geomstats", "python"} <= set(record["versions"])
    assert [p.name for p in out.parent.iterdir()] == [out.name]


def test_every_path_has_a_row_for_each_time_with_the_same_count(demo):
    _, result = demo
    rows = result["rows"]
    assert {row["count"] for row in rows} == {80}
    assert rows[0]["base"] == "real images"
    for path in PATHS:
        times = [row["time"] for row in rows if (row["base"], row["path"]) == path]
        assert times == ["0.1", "0.3", "0.5", "0.7", "0.9", "all"], path
    for base in ("Gaussian", "von Mises-Fisher", "Dirichlet"):
        assert [row["path"] for row in rows if row["base"] == base].count("samples") == 1


def test_csv_and_json_agree(demo):
    out, result = demo
    with (out / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(result["rows"])
    for written, row in zip(table, result["rows"]):
        assert written["path"] == row["path"]
        assert float(written["frechet"]) == row["frechet"]


def test_the_page_is_self_contained_and_escapes(demo):
    out, _ = demo
    page = (out / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert not re.search(r"https?:|url\(|@import", re.sub(r"data:[^\"]*", "", page))
    for base, path in PATHS:
        assert f"{base}, {path}" in page


def test_a_data_set_cannot_inject_markup(demo, tmp_path):
    out, _ = demo
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    for path in (out / "evaluation").iterdir():
        (evaluation / path.name).write_bytes(path.read_bytes())
    result = json.loads((evaluation / "evaluation.json").read_text())
    result["data"]["name"] = "<script>alert(1)</script>"
    result["pairs_from"] = "<b>"
    result["settings"]["interpolations"] = [
        os.path.relpath(out / "interpolations" / m["name"], evaluation) for m in result["models"]
    ]
    write_json(evaluation / "evaluation.json", result)
    report_step(evaluation, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_ends_of_the_paths_are_the_test_images(demo):
    """Encoding, interpolating and decoding returns the end images exactly, after rounding to levels."""
    out, _ = demo
    run = load_run(out / "models" / "vmf")
    test = run.data.load()[2]
    record = json.loads((out / "interpolations" / "vmf" / "manifoldflow.json").read_text())
    with np.load(out / "interpolations" / "vmf" / "geodesic.npz") as content:
        images = content["images"]
    start, end = np.array(record["pair_index"]).T
    assert (images[:, 0] != test.images[start].numpy()).mean() < 1e-3
    assert (images[:, -1] != test.images[end].numpy()).mean() < 1e-3
    labels = np.array(record["pair_labels"])
    assert (labels[:, 0] != labels[:, 1]).all()


def test_samples(demo, tmp_path):
    out, _ = demo
    sample_step(out / "models" / "dirichlet", tmp_path / "a", count=5, seed=3)
    sample_step(out / "models" / "dirichlet", tmp_path / "b", count=5, seed=3)
    a, b = (np.load(tmp_path / name / "samples.npz")["images"] for name in "ab")
    assert a.shape == (5, 1, 8, 8)
    assert (a == b).all()
    assert a.max() <= 16


def test_steps_refuse_what_they_cannot_use(demo, tmp_path):
    out, _ = demo
    models, paths = out / "models", out / "interpolations"
    with pytest.raises(DataError, match="expected a folder written by 'manifoldflow train'"):
        load_run(tmp_path)
    with pytest.raises(DataError, match="expected a folder written by 'manifoldflow train', it is one of 'demo'"):
        sample_step(out, tmp_path / "x")
    with pytest.raises(DataError, match=r"expected one of .*geodesic, matched.* for the base vmf, got 'linear'"):
        interpolate_step(models / "vmf", tmp_path / "x", methods=["linear"])
    with pytest.raises(DataError, match="fewer than 100000"):
        interpolate_step(models / "vmf", tmp_path / "x", pairs=100_000)
    with pytest.raises(DataError, match=r"expected images \(1, 8, 8\) with 17 levels .* got \(1, 28, 28\)"):
        interpolate_step(models / "vmf", tmp_path / "x", data="mnist")
    interpolate_step(models / "vmf", tmp_path / "few", pairs=10)
    with pytest.raises(DataError, match="need at least 64 pairs, got 10"):
        evaluate_step([tmp_path / "few"], tmp_path / "x")
    with pytest.raises(DataError, match="differ in data, pairs or times"):
        evaluate_step([paths / "gaussian", tmp_path / "few"], tmp_path / "x")
    with pytest.raises(DataError, match="expected at least one folder"):
        evaluate_step([], tmp_path / "x")
    (tmp_path / "few" / "geodesic.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"few/geodesic\.npz: missing or damaged"):
        evaluate_step([tmp_path / "few"], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_training_on_bad_data_writes_nothing(tmp_path):
    np.savez(tmp_path / "odd.npz", images=np.zeros((40, 7, 7), np.uint8))
    with pytest.raises(ValueError, match=r"divisible by 2\^levels = 4, got 7 x 7"):
        train_step(DataChoice(str(tmp_path / "odd.npz")), tmp_path / "out", base="vmf", settings=TrainSettings())
    with pytest.raises(DataError, match="positive fractions"):
        train_step(DataChoice("digits", test=1.0), tmp_path / "out", base="vmf", settings=TrainSettings())
    assert [p.name for p in tmp_path.iterdir()] == ["odd.npz"]


def test_own_data_without_labels_trains_but_is_not_paired(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images)
    settings = TrainSettings(epochs=1, batch_size=20)
    record = train_step(
        DataChoice(str(tmp_path / "own.npz")),
        tmp_path / "model",
        base="dirichlet",
        levels=1,
        steps=1,
        hidden=4,
        settings=settings,
        progress=False,
    )
    assert record["images"] == {"train": 42, "validation": 6, "test": 12}
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "flow.json",
        "flow.safetensors",
        "log",
        "manifoldflow.json",
    ]
    with pytest.raises(DataError, match="needs labels, and the data has none"):
        interpolate_step(tmp_path / "model", tmp_path / "paths", pairs=3)


def test_pictures_of_random_paths_grids_and_animations(demo, tmp_path):
    out, _ = demo
    model = out / "models" / "gaussian"
    options = {"pairs": 4, "steps": 5, "animate": True, "samples": 3, "grid_side": 4}
    interpolate_step(model, tmp_path / "a", methods=["slerp", "bridge"], **options)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"slerp.png", "slerp.gif", "slerp.npz", "bridge.png", "bridge-sheet.png", "grid.png"} <= names
    assert "slerp-sheet.png" not in names
    with Image.open(tmp_path / "a" / "slerp.gif") as animation:
        assert animation.n_frames == 8  # there and back
    interpolate_step(model, tmp_path / "b", methods=["bridge"], pairs=4, steps=5)
    a, b = (np.load(tmp_path / name / "bridge.npz")["points"] for name in "ab")
    assert np.array_equal(a, b), "random paths are functions of the seed"
    with pytest.raises(DataError, match="samples: none of slerp draws random paths"):
        interpolate_step(model, tmp_path / "c", methods=["slerp"], samples=3)
    with pytest.raises(DataError, match="grid: expected at least 2 images a side"):
        interpolate_step(model, tmp_path / "c", grid_side=1)


@pytest.fixture(scope="module")
def tree(demo, tmp_path_factory):
    """A copy of the demo's folders, which every step reads as they are: its records may be spoiled."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("models", "interpolations", "evaluation"):
        shutil.copytree(demo[0] / name, tree / name)
    evaluate_step([tree / "interpolations" / "vmf"], tree / "whole-table")
    interpolate_step(tree / "models" / "vmf", tree / "whole-paths", pairs=3)
    report_step(tree / "evaluation", tree / "whole-page")
    return tree


@contextmanager
def spoiled(path, keys, value):
    """A JSON file with the field at the end of `keys` replaced; afterwards it is whole again."""
    text = path.read_text()
    content = inner = json.loads(text)
    for key in keys[:-1]:
        inner = inner[key]
    assert inner[keys[-1]] != value
    inner[keys[-1]] = value
    write_json(path, content)
    yield
    path.write_text(text)


NOT_AS_WRITTEN = "damaged or not as this version writes it"


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["pair_index"], None, NOT_AS_WRITTEN),
        (["pair_index", 0], [10**9, 0], "its pairs are of other data; interpolate again"),
        (["pair_index", 0], [-1, "x"], r"pair_index\[0\]\[1\]: expected an integer, got 'x'"),
        (["pair_labels"], [], "as many labels as pairs"),
        (["settings", "methods"], ["../../etc/passwd"], r"unknown method '\.\./\.\./etc/passwd'"),
        (["settings", "methods"], [], "methods, pair_index, pair_labels: expected one of each"),
        (["settings", "model"], 5, "settings.model: expected a text, got 5"),
        (["settings", "model"], "../../nowhere", "nowhere: expected a folder .*, but there is no such folder"),
        (["settings", "steps"], "many", NOT_AS_WRITTEN),
        (["settings"], [], NOT_AS_WRITTEN),
        (["base"], "gaussian", "its base is not the model's; interpolate again"),
    ],
    ids=str,
)
def test_damaged_records_of_interpolations_are_refused(tree, tmp_path, keys, value, message):
    paths = tree / "interpolations" / "vmf"
    with spoiled(paths / "manifoldflow.json", keys, value), pytest.raises(DataError, match=message):
        evaluate_step([paths], tmp_path / "table")
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize(
    ("name", "keys", "value", "message"),
    [
        ("flow.json", ["levels"], 1, r"flow\.json: expected the fields flow, levels \(2 to 256\) and training"),
        ("flow.json", ["levels"], True, r"flow\.json: expected the fields flow, levels \(2 to 256\) and training"),
        ("flow.json", ["flow", "base"], 7, r"flow\.json: flow description: base: expected one of .*, got 7"),
        ("manifoldflow.json", ["settings", "data", "source"], 5, "data: expected a name or a path, got 5"),
        ("manifoldflow.json", ["settings", "data"], None, NOT_AS_WRITTEN),
        ("manifoldflow.json", ["result"], None, NOT_AS_WRITTEN),
        ("manifoldflow.json", ["fingerprints", "test"], "other", "data: digits is not what .* was trained on"),
    ],
)
def test_damaged_records_of_models_are_refused(tree, tmp_path, name, keys, value, message):
    model = tree / "models" / "vmf"
    with spoiled(model / name, keys, value), pytest.raises(DataError, match=message):
        interpolate_step(model, tmp_path / "paths", pairs=3)
    assert not (tmp_path / "paths").exists()


@pytest.mark.parametrize("keys", [["rows"], ["models"], ["profiles"], ["settings"], ["models", 0, "name"]], ids=str)
def test_damaged_evaluations_are_refused(tree, tmp_path, keys):
    evaluation = tree / "evaluation"
    message = rf"evaluation\.json: {NOT_AS_WRITTEN}"
    with spoiled(evaluation / "evaluation.json", keys, None), pytest.raises(DataError, match=message):
        report_step(evaluation, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_the_same_model_or_method_twice_and_times_off_the_bins_are_refused(demo, tmp_path):
    out, _ = demo
    paths = out / "interpolations" / "vmf"
    with pytest.raises(DataError, match="expected models with different bases, got vmf-1, vmf-1"):
        evaluate_step([paths, paths], tmp_path / "x")
    with pytest.raises(DataError, match="expected different methods"):
        interpolate_step(out / "models" / "gaussian", tmp_path / "x", methods=["norm_corrected", "norm-corrected"])
    interpolate_step(out / "models" / "vmf", tmp_path / "six", pairs=70, steps=6)
    with pytest.raises(DataError, match="interpolate again with --steps 11"):
        evaluate_step([tmp_path / "six"], tmp_path / "x")


def test_labels_with_gaps_and_negative_labels(tmp_path, monkeypatch):
    monkeypatch.setitem(train_classifier.__kwdefaults__, "steps", 5)
    rng = np.random.default_rng(0)
    labels = np.array([-7, 10**8, 3])[rng.integers(0, 3, 400)]
    np.savez(tmp_path / "own.npz", images=rng.integers(0, 256, (400, 4, 4), dtype=np.uint8), labels=labels)
    settings = TrainSettings(epochs=1, batch_size=100)
    options = {"base": "gaussian", "levels": 1, "steps": 1, "hidden": 4, "settings": settings, "progress": False}
    train_step(DataChoice(str(tmp_path / "own.npz"), test=0.5), tmp_path / "model", **options)
    interpolate_step(tmp_path / "model", tmp_path / "paths", methods=["linear"], pairs=64)
    assert 0 <= evaluate_step([tmp_path / "paths"], tmp_path / "table")["extractor"]["accuracy"] <= 1
    report_step(tmp_path / "table", tmp_path / "page")
    page = (tmp_path / "page" / "report.html").read_text()
    assert "A flow with the base Gaussian" in page
    assert "flows that differ" not in page


def test_too_few_images_are_refused_before_training(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.zeros((6, 4, 4), np.uint8))
    with pytest.raises(DataError, match="expected at least 2 test images, got 1 of 6"):
        train_step(DataChoice(str(tmp_path / "own.npz")), tmp_path / "m", base="vmf", settings=TrainSettings())


def test_pairs_from_other_data(demo, tmp_path, monkeypatch):
    out, _ = demo
    train, _, _ = load_run(out / "models" / "vmf").data.load()
    np.savez(tmp_path / "own.npz", images=train.images[:90].numpy(), labels=train.labels[:90].numpy())
    with pytest.raises(DataError, match=r"expected images \(1, 8, 8\) with 17 levels .* got \(1, 8, 8\) with 256"):
        interpolate_step(out / "models" / "vmf", tmp_path / "paths", data=str(tmp_path / "own.npz"))
    with pytest.raises(DataError, match="leave --data out to take its held-out test images"):
        interpolate_step(out / "models" / "vmf", tmp_path / "paths", pairs=70, data="digits")
    wanted = DataChoice("digits").load()[1]
    monkeypatch.setitem(DATA_SETS, "others", lambda: wanted)
    interpolate_step(out / "models" / "vmf", tmp_path / "paths", pairs=70, data="others")
    result = evaluate_step([tmp_path / "paths"], tmp_path / "table")
    assert result["rows"][0]["count"] == 70
    assert result["pairs_from"] == "others"
