"""Several processes, started by Lightning itself, train what one trains, and go on after one of them was killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from manifoldflow.errors import DataError
from manifoldflow.files import unfinished
from manifoldflow.steps import DataChoice, resume_training, train_step
from manifoldflow.training import Placement, TrainSettings
from manifoldflow.training.batches import EpochBatches, ImageData
from manifoldflow.training.checkpoint import read_checkpoint
from manifoldflow.training.placement import is_first_process

# Each starts two processes that meet at a free port: one after the other.
pytestmark = pytest.mark.xdist_group("two processes")
# 1,258 images: 12 steps an epoch, 24 in all.
SETTINGS = TrainSettings(epochs=2, batch_size=100, checkpoint_every=5, precision="64-true", average=0.9)
ARGUMENTS = ["--base", "vmf", "--levels", "1", "--steps", "2", "--hidden", "16", "--epochs", "2", "--batch-size", "100"]
ARGUMENTS += ["--checkpoint-every", "5", "--precision", "64-true", "--average", "0.9", "--quiet"]
TWO = ["--devices", "2", "--accelerator", "cpu"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "model"
    train_step(DataChoice("digits"), out, base="vmf", levels=1, steps=2, hidden=16, settings=SETTINGS, progress=False)
    return load_file(out / "flow.safetensors")


def start(*arguments, **variables):
    command = [sys.executable, "-m", "manifoldflow", "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_same(weights, expected):
    """Within 1e-9 of the largest weight of each tensor, in float64."""
    assert weights.keys() == expected.keys()
    for name, value in weights.items():
        assert value.dtype == torch.float64
        assert float((value - expected[name]).abs().max()) <= 1e-9 * float(expected[name].abs().max()), name


def test_two_processes_train_the_model_of_one(tmp_path, alone):
    out = tmp_path / "model"
    process = start("--out", out, *ARGUMENTS, *TWO)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert_same(load_file(out / "flow.safetensors"), alone)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in out.glob("log*")) == ["log"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_machines_train_the_model_of_one(tmp_path, alone):
    """The command started by hand on each machine: only the first one writes."""
    out, port = tmp_path / "model", str(free_port())
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    options = ["--num-nodes", "2", "--accelerator", "cpu"]
    processes = [start("--out", out, *ARGUMENTS, *options, NODE_RANK=str(rank), **address) for rank in range(2)]
    for process in processes:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    assert_same(load_file(out / "flow.safetensors"), alone)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(("variable", "nodes", "first"), [("0", 2, True), ("1", 2, False), ("1", 1, True)])
def test_only_the_first_machine_writes(monkeypatch, variable, nodes, first):
    monkeypatch.setenv("NODE_RANK", variable)
    assert is_first_process(Placement(num_nodes=nodes)) == first


def other_process(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if b"manifoldflow" in Path(f"/proc/{child}/cmdline").read_bytes())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the other process in /proc")
def test_one_of_two_is_killed_and_the_run_resumes(tmp_path, alone):
    out = tmp_path / "model"
    process = start("--out", out, *ARGUMENTS, *TWO)
    checkpoint = unfinished(out) / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 200
    while process.poll() is None and not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(other_process(process.pid), signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)  # returns once both have ended
    assert process.returncode != 0
    assert not out.exists()
    assert read_checkpoint(checkpoint)["global_step"] < 24
    if process.returncode == 1:  # Lightning's observer may be faster and kill the first one, too
        assert "of this run was ended by SIGKILL; continue from the last checkpoint with --resume" in stderr
    process = start("--out", out, "--resume", "--quiet", *TWO)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert_same(load_file(out / "flow.safetensors"), alone)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_every_process_takes_its_part_of_each_validation_batch():
    images = torch.rand(23, 1, 2, 2)
    data = ImageData(images, images, batch_size=6, eval_batch=10, seed=0)
    seen = []
    for rank in range(2):
        data._processes = lambda rank=rank: (2, rank)
        batches = [index.tolist() for index, _ in data.val_dataloader()]
        assert len(batches) == 3
        seen += [i for batch in batches for i in batch]
    assert sorted(seen) == list(range(23))


def test_a_batch_is_shared_out_evenly_or_refused():
    images = torch.rand(23, 1, 2, 2)
    data = ImageData(images, None, batch_size=7, eval_batch=10, seed=0)
    data._processes = lambda: (2, 0)
    with pytest.raises(DataError, match=r"batch_size: expected a multiple of the 2 processes .* got 7"):
        data.train_dataloader()
    assert data.val_dataloader() == []
    data.validation, data._processes = images, lambda: (30, 0)
    with pytest.raises(DataError, match="an image for each of 30 processes, got 23"):
        data.val_dataloader()


def test_resumed_epochs_begin_where_they_stopped():
    batches = EpochBatches(23, 5, 0)
    batches.begin_at(6)
    for epoch, count in ((0, 4), (1, 2), (2, 4)):
        batches.set_epoch(epoch)
        assert len(list(batches)) == count


@pytest.mark.parametrize("wrong", [{"devices": 0}, {"num_nodes": -1}])
def test_bad_placements_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected an integer >= 1"):
        Placement(**wrong)


NO_GPU = pytest.mark.skipif(torch.accelerator.is_available(), reason="a GPU is there")


@pytest.mark.parametrize(
    "wrong", [{"accelerator": "abacus"}, pytest.param({"accelerator": "gpu"}, marks=NO_GPU), {"strategy": "guess"}]
)
def test_what_lightning_does_not_have_is_refused_and_leaves_nothing(tmp_path, wrong):
    with pytest.raises(DataError, match="accelerator, devices, strategy: Lightning cannot run on Placement"):
        train_step(
            DataChoice("digits"),
            tmp_path / "model",
            base="vmf",
            settings=SETTINGS,
            progress=False,
            placement=Placement(**wrong),
        )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="no unfinished run"):
        resume_training(tmp_path / "model")
