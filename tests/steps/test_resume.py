"""A training run that is killed at any step and resumed ends with the weights of the uninterrupted run, bit for bit."""

import errno
import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from manifoldflow.errors import DataError
from manifoldflow.files import unfinished
from manifoldflow.steps import DataChoice, resume_training, train_step
from manifoldflow.training import TrainSettings
from manifoldflow.training.checkpoint import read_checkpoint

# 1,258 images: 12 steps an epoch; checkpoints fall inside epochs and on their borders.
SETTINGS = TrainSettings(epochs=4, batch_size=100, checkpoint_every=5, patience=2)
ARGUMENTS = ["--base", "vmf", "--levels", "1", "--steps", "2", "--hidden", "16", "--epochs", "4"]
ARGUMENTS += ["--batch-size", "100", "--checkpoint-every", "5", "--patience", "2", "--quiet"]


def train(out, settings=SETTINGS):
    return train_step(
        DataChoice("digits"), out, base="vmf", levels=1, steps=2, hidden=16, settings=settings, progress=False
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "model"
    before = torch.get_rng_state()
    train(out)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left alone
    return load_file(out / "flow.safetensors")


def last_step(out):
    return torch.load(unfinished(out) / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def wait_for_checkpoint(out, process, step=0):
    checkpoint = unfinished(out) / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not (checkpoint.is_file() and last_step(out) >= step) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.mark.parametrize("step", [5, 25])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, uninterrupted, command, step):
    out = tmp_path / "model"
    process = command("train", "--out", out, *ARGUMENTS)
    wait_for_checkpoint(out, process, step)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not out.exists()
    with pytest.raises(DataError, match="has an unfinished run; continue it with --resume"):
        train(out)
    resume_training(out, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    weights = load_file(out / "flow.safetensors")
    assert weights.keys() == uninterrupted.keys()
    for name, value in weights.items():
        assert value.equal(uninterrupted[name]), name


def test_interruption_keeps_the_checkpoint_and_says_how_to_go_on(tmp_path, uninterrupted, command):
    out = tmp_path / "run" / "model"
    process = command("train", "--out", out, *ARGUMENTS, errors=tmp_path / "errors")
    wait_for_checkpoint(out, process)
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=120)
    assert process.exitcode == 130
    stderr = (tmp_path / "errors").read_text()
    assert "training stopped at step" in stderr
    assert "continue from the last checkpoint with --resume" in stderr
    assert "Traceback" not in stderr
    resume_training(out, progress=False)
    weights = load_file(out / "flow.safetensors")
    assert all(value.equal(uninterrupted[name]) for name, value in weights.items())


def test_nothing_to_resume(tmp_path):
    with pytest.raises(DataError, match="there is no unfinished run"):
        resume_training(tmp_path / "model")
    (tmp_path / ".model.unfinished").mkdir()
    with pytest.raises(DataError, match=r"expected a folder written by 'manifoldflow train \(unfinished\)'"):
        resume_training(tmp_path / "model")


def test_failure_before_the_first_checkpoint_leaves_nothing(tmp_path):
    settings = TrainSettings(epochs=4, learning_rate=1e12, warmup=0, clip=1e30, checkpoint_every=1000)
    with pytest.raises(FloatingPointError, match="try a smaller learning_rate"):
        train_step(
            DataChoice("digits"), tmp_path / "a", base="vmf", levels=1, steps=1, settings=settings, progress=False
        )
    assert list(tmp_path.iterdir()) == []


def test_a_finite_loss_without_a_finite_gradient_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    """The seventh step spoils a weight; its checkpoint is not written."""
    count, step = iter(range(1, 100)), torch.optim.Adam.step

    def spoiling(self, closure=None):
        loss = step(self, closure)
        if next(count) == 7:
            self.param_groups[0]["params"][0].data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(torch.optim.Adam, "step", spoiling)
    kept = unfinished(tmp_path / "model") / "checkpoints" / "last.ckpt"
    with pytest.raises(
        FloatingPointError, match=r"flow\S+ became NaN or infinite in step 7; try .* in a new run; .* is kept: "
    ) as caught:
        train(tmp_path / "model", replace(SETTINGS, checkpoint_every=1))
    assert str(caught.value).endswith(str(kept))
    content = read_checkpoint(kept)
    assert content["global_step"] == 6
    assert all(value.isfinite().all() for value in content["state_dict"].values())


class Killed(BaseException):
    """Ends a run where a kill would: nothing of it is left but its files."""


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_kill_or_a_full_disk_while_a_checkpoint_is_written(tmp_path, monkeypatch, average):
    """First the disk is full, then the resumed run is killed; both leave the former checkpoint."""
    settings = replace(SETTINGS, average=average)
    train(tmp_path / "whole", settings)
    out, fsync = tmp_path / "model", os.fsync

    def ends_with(error, number):
        count = iter(range(1, 1000))

        def end(handle):
            if next(count) == number:
                raise error
            fsync(handle)

        monkeypatch.setattr(os, "fsync", end)

    ends_with(OSError(errno.ENOSPC, "No space left on device"), 5)
    with pytest.raises(
        OSError, match=r"ckpt: cannot be written .No space left on device: .* MB needed, .* MB free.; .* with --resume$"
    ):
        train(out, settings)
    reached = last_step(out)
    assert 0 < reached < 48
    ends_with(Killed(), 3)
    with pytest.raises(Killed):
        resume_training(out, progress=False)
    assert reached < last_step(out) < 48
    monkeypatch.setattr(os, "fsync", fsync)
    resume_training(out, progress=False)
    whole, resumed = (load_file(path / "flow.safetensors") for path in (tmp_path / "whole", out))
    assert all(value.equal(whole[name]) for name, value in resumed.items())


def test_an_unwritable_output_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written .(Not a directory|File exists).; choose another folder"):
        train(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == ""
