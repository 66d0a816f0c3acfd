"""VAE, WAE and DCGAN train like flows: they learn, resume bit for bit after a stop, and come back from disk."""

import math
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from manifoldflow.errors import DataError
from manifoldflow.files import read_json, write_json
from manifoldflow.training import (
    ModelDescription,
    SavedModel,
    TrainSettings,
    build_model,
    load_model,
    save_model,
    train_autoencoder,
    train_gan,
)

DESCRIPTIONS = [
    ModelDescription("vae", (1, 8, 8), 3, prior="vmf", channels=4, hidden=16),
    ModelDescription("wae", (1, 8, 8), 3, channels=4, penalty=3.0),
    ModelDescription("dcgan", (1, 8, 8), 3, prior="dirichlet", channels=4),
]
# 300 images: 6 steps an epoch; checkpoints fall inside epochs and on their border.
SETTINGS = TrainSettings(epochs=3, batch_size=50, learning_rate=5e-3, warmup=2, checkpoint_every=4, patience=9)


class Killed(BaseException):
    """Ends a run where a kill would: nothing of it is left but its files."""


@pytest.fixture(params=DESCRIPTIONS, ids=lambda d: d.kind)
def description(request):
    return request.param


def train(description, images, validation, folder, settings=SETTINGS, resume=False):
    torch.manual_seed(7)
    model = build_model(description)
    torch.manual_seed(len(folder.name))  # draws depend on the settings' seed alone
    before = torch.get_rng_state()
    options = {"folder": folder, "resume": resume, "progress": False}
    if description.kind == "dcgan":
        outcome = train_gan(model, images, settings, **options)
    else:
        outcome = train_autoencoder(model, images, settings, validation=validation, **options)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left alone
    return model, outcome


@pytest.fixture
def images(digits):
    return [data.images / 16.0 for data in digits]


def kill_at(monkeypatch, number):
    """Let a run end while it writes its checkpoint of that number."""
    count, fsync = iter(range(1, 1000)), os.fsync

    def end(handle):
        if next(count) == number:
            raise Killed
        fsync(handle)

    monkeypatch.setattr(os, "fsync", end)


def test_a_stopped_run_resumes_bit_for_bit(tmp_path, monkeypatch, description, images):
    whole, _ = train(description, *images, tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_at(patch, 3 if description.kind == "dcgan" else 5)  # the others write the best epochs' weights, too
        with pytest.raises(Killed):
            train(description, *images, tmp_path / "stopped")
    resumed, outcome = train(description, *images, tmp_path / "stopped", resume=True)
    assert outcome.epochs == 3
    assert not resumed.training
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


@pytest.mark.parametrize("kind", ["vae", "wae"])
def test_an_autoencoder_learns(tmp_path, images, kind):
    description = next(d for d in DESCRIPTIONS if d.kind == kind)
    first = train(description, *images, tmp_path / "a", TrainSettings(epochs=1, batch_size=50))[1]
    longer = train(description, *images, tmp_path / "b", TrainSettings(epochs=8, batch_size=50, learning_rate=5e-3))[1]
    assert longer.best < first.best - 3
    assert longer.stopped_by == "epochs"


def test_without_validation_images_the_last_weights_stay(tmp_path, images):
    _, outcome = train(DESCRIPTIONS[0], images[0], None, tmp_path)
    assert math.isnan(outcome.best)
    assert outcome.best_epoch == 2


def test_bad_images_are_refused(tmp_path, images):
    model = build_model(DESCRIPTIONS[0])
    options = {"folder": tmp_path, "progress": False}
    with pytest.raises(DataError, match=r"images: expected values in \[0, 1\], got 0 to 16; divide"):
        train_autoencoder(model, images[0] * 16, SETTINGS, **options)
    with pytest.raises(DataError, match="images: expected at least 50 floating-point images"):
        train_autoencoder(model, images[0][:9], SETTINGS, **options)
    with pytest.raises(DataError, match=r"validation: expected at least 1 floating-point images .* got torch.uint8"):
        train_autoencoder(model, images[0], SETTINGS, validation=images[0].byte(), **options)
    assert list(tmp_path.iterdir()) == []


def test_an_exploding_loss_names_the_step_and_a_remedy(tmp_path, description, images):
    settings = TrainSettings(epochs=30, batch_size=50, learning_rate=1e30, warmup=0, clip=1e30)
    with pytest.raises(FloatingPointError, match=r"loss became (nan|inf|-inf) at step \d+; try a smaller"):
        train(description, images[0].clone(), images[1], tmp_path, settings)


def test_saved_models_come_back_the_same(tmp_path, description):
    model = build_model(description).eval()
    save_model(tmp_path, SavedModel(model, description, {"note": "x"}))
    loaded = load_model(tmp_path)
    assert loaded.description == description
    assert loaded.training == {"note": "x"}
    z = model.prior.sample((5,))
    assert torch.equal(loaded.model.decode(z), model.decode(z))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "exec"}, "kind: expected one of 'vae', 'wae', 'dcgan', got 'exec'"),
        ({"channels": 8}, "another architecture"),
        ({"channels": 10**9}, "channels: expected an integer from 1 to"),
        ({"latent_dim": True}, "latent_dim: expected an integer"),
        ({"shape": [1, 8]}, "shape: expected"),
        ({"shape": "x"}, "model description: expected the fields"),
        ({"prior_parameter": "x"}, "prior_parameter: expected a positive finite number, got 'x'"),
        ({"extra": 1}, "model description: expected the fields"),
        ({"prior": "cauchy"}, "prior: expected one of"),
        ({"penalty": -1}, "penalty: expected a positive"),
    ],
)
def test_damaged_descriptions_are_refused(tmp_path, changes, message):
    save_model(tmp_path, SavedModel(build_model(DESCRIPTIONS[1]), DESCRIPTIONS[1], {}))
    load_model(tmp_path)
    path = tmp_path / "model.json"
    content = read_json(path)
    content["model"].update(changes)
    write_json(path, content)
    with pytest.raises(DataError, match=message):
        load_model(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    save_model(tmp_path, SavedModel(build_model(DESCRIPTIONS[1]), DESCRIPTIONS[1], {}))
    load_model(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = "encoder.0.weight"
    save_file({**weights, name: torch.full_like(weights[name], float("nan"))}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=f"{name} holds NaN"):
        load_model(tmp_path)
    save_file({**weights, name: weights[name].half()}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"expected .* of torch.float32, got .* of torch.float16"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(DataError, match="expected the fields model and training"):
        load_model(tmp_path)
    (tmp_path / "model.json").unlink()
    with pytest.raises(DataError, match=r"holds no model\.json"):
        load_model(tmp_path)
