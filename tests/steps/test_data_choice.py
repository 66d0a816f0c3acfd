"""Bits a pixel, preprocessing and the published test part, from the command line to the interpolants."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from manifoldflow.cli import app
from manifoldflow.data import load_images, split
from manifoldflow.errors import DataError
from manifoldflow.flows import Logit
from manifoldflow.steps import DataChoice, interpolate_step, load_run, sample_step

from ..data.files import idx_bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 + 20 images of 8 x 8 as MNIST is published."""
    place = tmp_path_factory.mktemp("idx")
    rng = np.random.default_rng(0)
    for stem, count in (("train", 60), ("t10k", 20)):
        (place / f"{stem}-images-idx3-ubyte").write_bytes(idx_bytes(rng.integers(0, 256, (count, 8, 8))))
        (place / f"{stem}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 3))
    return place


def test_a_choice_recorded_without_the_new_fields_gives_the_same_images():
    choice = DataChoice(**{"source": "digits", "size": 32, "validation": 0.1, "test": 0.2, "seed": 3})
    assert choice == DataChoice("digits", seed=3)
    for part, same in zip(choice.load(), split(load_images("digits"), [0.7, 0.1, 0.2], seed=3)):
        assert torch.equal(part.images, same.images)
        assert part.levels == 17


def test_the_published_test_part(folder):
    train, validation, test = DataChoice(str(folder), published_test=True).load()
    assert (len(train), len(validation), len(test)) == (54, 6, 20)
    assert torch.equal(test.images, load_images(folder).images[60:])
    assert [len(part) for part in DataChoice(str(folder)).load()] == [56, 8, 16]
    with pytest.raises(DataError, match="digits: expected a published training and a published test part"):
        DataChoice("digits", published_test=True).load()


@pytest.mark.parametrize("bits", ["5", 5.0, True, None])
def test_bits_of_another_kind(folder, bits):
    with pytest.raises(DataError, match="bits: expected 1 to 8, got"):
        DataChoice(str(folder), bits=bits).load()


def test_from_the_command_line_to_the_interpolants(folder, tmp_path):
    model = tmp_path / "model"
    options = "--base gaussian --levels 1 --steps 1 --hidden 8 --epochs 1 --bits 5 --preprocess logit --published-test"
    arguments = ["train", "--data", str(folder), "--out", str(model), *options.split()]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    note = "train-images-idx3-ubyte and train-labels-idx1-ubyte: of no known checksum"
    assert f"Training data: {note}" in " ".join(result.output.split())  # wrapped to the console
    record = json.loads((model / "manifoldflow.json").read_text())
    assert record["images"] == {"train": 54, "validation": 6, "test": 20}
    assert record["origin"].startswith(note)
    run = load_run(model)
    assert (run.levels, run.description.preprocess, run.data.bits) == (32, "logit", 5)
    assert isinstance(run.flow.transform.first, Logit)
    assert int(run.load_data()[0].images.max()) == 31
    sample_step(model, tmp_path / "samples", count=20)
    with np.load(tmp_path / "samples" / "samples.npz") as content:
        assert content["images"].max() <= 31
    interpolate_step(model, tmp_path / "own", methods=["slerp"], pairs=4)
    other = tmp_path / "other.npz"
    np.savez(other, images=np.full((6, 8, 8), 255, np.uint8), labels=np.arange(6))
    interpolate_step(model, tmp_path / "others", methods=["slerp"], pairs=3, data=str(other))
    with np.load(tmp_path / "others" / "slerp.npz") as content:
        assert (content["images"][:, 0] >= 30).mean() > 0.99  # the starts are white images at five bits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", "5"], "bits: expected 8 for digits, which has 17 levels and not 256, got 5"),
        (["--preprocess", "whitened"], "preprocess: expected 'centred' or 'logit', got 'whitened'"),
        (["--published-test"], "digits: expected a published training and a published test part, got 1797 images"),
    ],
)
def test_what_the_data_does_not_have(tmp_path, options, message):
    result = CliRunner().invoke(app, ["train", "--data", "digits", "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"manifoldflow: {message}")
    assert list(tmp_path.iterdir()) == []
