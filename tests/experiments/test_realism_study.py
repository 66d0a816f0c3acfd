"""The realism experiment: a tiny but whole run, what it keeps, and what it refuses."""

import json
from dataclasses import replace

import pytest
import torch

from manifoldflow.data import load_images
from manifoldflow.errors import DataError
from manifoldflow.experiments.realism.measures import PathOptions, solve
from manifoldflow.experiments.realism.study import RealismSettings, image_models, realism_to_markdown, run_realism
from manifoldflow.steps import DataChoice
from manifoldflow.training import TrainSettings

SETTINGS = RealismSettings(
    DataChoice("digits"),
    TrainSettings(epochs=1, batch_size=512, checkpoint_every=1),
    dim=4,
    channels=2,
    pairs=4,
    paths=PathOptions(segments=4, pieces=1, iterations=3),
    classifier_steps=5,
)


def test_a_whole_run_and_its_repetition(tmp_path):
    out = tmp_path / "out"
    before = torch.random.get_rng_state()
    result = run_realism(out, SETTINGS, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [len(table["rows"]) for table in result["tables"]] == [3, 2, 1, 5, 4]
    assert all(len(row) == len(t["header"]) for t in result["tables"] for row in t["rows"])
    optimised = result["tables"][0]["rows"]
    assert all(row[2] >= row[1] for row in optimised)  # realism never falls
    soap = {row[0]: row[1:] for row in result["tables"][-1]["rows"]}
    assert soap["density"][1] > soap["density"][0]  # it cannot see the bubble
    assert soap["two-sided density (typicality)"][2] < 1e-3
    assert json.loads((out / "results.json").read_text())["tables"] == result["tables"]
    assert (out / "tables.md").read_text() == realism_to_markdown(result)
    assert len(list(out.glob("*.png"))) == 11
    said: list[str] = []
    again = run_realism(out, SETTINGS, progress=False, say=said.append)
    assert not any("training" in line for line in said)
    assert again["tables"] == result["tables"]
    with pytest.raises(DataError, match="begun with other settings"):
        run_realism(out, replace(SETTINGS, pairs=5), progress=False)


def test_an_unfinished_training_goes_on(tmp_path, monkeypatch):
    from manifoldflow.experiments.realism import study

    data = load_images("digits")
    images = data.images[:512].float() / (data.levels - 1)

    def trained(folder):
        models = image_models(images, folder, SETTINGS.training, dim=4, channels=2, progress=False)
        return models["wae-semicircle"].decoder[0].weight

    whole = trained(tmp_path / "whole")
    real = study.train_autoencoder
    monkeypatch.setattr(study, "train_autoencoder", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts")
    assert {p.name for p in (tmp_path / "parts").glob("*.safetensors")} == {
        "gan-normal.safetensors",
        "gan-semicircle.safetensors",
    }
    monkeypatch.setattr(study, "train_autoencoder", real)
    assert torch.equal(trained(tmp_path / "parts"), whole)


def test_an_interrupt_while_solving_is_passed_on():
    from manifoldflow.models import DCGAN
    from manifoldflow.realism import CallableIndex

    model = DCGAN((1, 8, 8), 4, channels=2).eval()
    calls = []

    def value(z):
        calls.append(len(z))
        if len(calls) == 3:  # after both ends were looked at
            raise KeyboardInterrupt
        return z[..., 0].sigmoid()

    start, end = torch.randn(2, 3, 4)
    with pytest.raises(KeyboardInterrupt, match="the same command continues"):
        solve(model, CallableIndex(value), start, end, SETTINGS.paths)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="pairs, dim: expected"):
        replace(SETTINGS, pairs=2)
