"""A full disk, an unwritable folder or a kill while writing: a clear error, and what was there before is intact."""

import re
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from manifoldflow.errors import DataError
from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.training import SavedFlow, load_flow, save_flow
from manifoldflow.training.checkpoint import WholeCheckpoints, read_checkpoint


@contextmanager
def full_disk():
    """No file can grow beyond 100 bytes: writing fails in the operating system, also for root."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def attempt(function, *arguments):
    """The error of a call on a full disk; pytest itself may have to write meanwhile, so it is caught outside."""
    try:
        with full_disk():
            function(*arguments)
    except OSError as error:
        return str(error)
    raise AssertionError("it was written")


def test_a_checkpoint_on_a_full_disk(tmp_path):
    path, writer = tmp_path / "last.ckpt", WholeCheckpoints()
    writer.save_checkpoint({"weights": torch.arange(5)}, path)
    message = attempt(writer.save_checkpoint, {"weights": torch.rand(1000)}, path)
    assert re.fullmatch(
        rf"{path}: cannot be written \(File too large: [\d,]+ bytes needed, [\d,.]+ MB free\); "
        "free some space and run the same command again; nothing is lost",
        message,
    )
    assert torch.equal(read_checkpoint(path)["weights"], torch.arange(5))
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_model_on_a_full_disk(tmp_path):
    description = FlowDescription((1, 4, 4), levels=1, steps=1, hidden=4)
    first, second = build_flow(description), build_flow(description)
    save_flow(tmp_path, SavedFlow(first, description, 17, {}))
    message = attempt(save_flow, tmp_path, SavedFlow(second, description, 17, {}))
    assert message.startswith(f"{tmp_path / 'flow.safetensors'}: cannot be written (")
    assert "\n" not in message
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(load_flow(tmp_path).flow.log_prob(x), first.log_prob(x))


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file: cannot be written \((File exists|Not a directory)\); make it writable"):
        WholeCheckpoints().save_checkpoint({}, tmp_path / "file" / "last.ckpt")


KILLED = """
import os, signal, sys, torch
import manifoldflow.training.checkpoint as checkpoint
writer, path = checkpoint.WholeCheckpoints(), sys.argv[1]
writer.save_checkpoint({"weights": torch.arange(5)}, path)
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
writer.save_checkpoint({"weights": torch.rand(1000)}, path)
"""


def test_a_kill_while_writing_leaves_the_former_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    assert torch.equal(read_checkpoint(path)["weights"], torch.arange(5))


def test_a_flipped_bit_in_a_checkpoint_is_found(tmp_path):
    path, content = tmp_path / "last.ckpt", {"weights": torch.rand(1000), "global_step": 3}
    WholeCheckpoints().save_checkpoint(content, path)
    assert torch.equal(WholeCheckpoints().load_checkpoint(path)["weights"], content["weights"])
    whole = path.read_bytes()
    at = whole.index(content["weights"].numpy().tobytes())
    for byte in range(at, at + 4000, 400):
        broken = bytearray(whole)
        broken[byte] ^= 1
        path.write_bytes(broken)
        for read in (read_checkpoint, WholeCheckpoints().load_checkpoint):
            with pytest.raises(DataError, match=r"not a readable checkpoint .*checksum.* is wrong.*train again"):
                read(path)
