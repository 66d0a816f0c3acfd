"""SIGINT and SIGTERM end every command in one line, while it still imports and while it works."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manifoldflow.cli.app import _interruptible, _interruption

TRAIN = ["train", "--data", "digits", "--levels", "1", "--steps", "1", "--hidden", "4", "--epochs", "2000"]


def start(out, *options):
    command = [sys.executable, "-m", "manifoldflow", *TRAIN, "--out", str(out), *options]
    # A shell that runs tests in the background may have its children ignore SIGINT.
    restore = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return subprocess.Popen([sys.executable, "-c", restore, *command], stderr=subprocess.PIPE, text=True)


def wait_for(condition, process):
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("it did not come so far in two minutes")


def maps(process):
    return Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.parametrize(
    ("library", "sent", "status"),
    [
        ("libtorch_cpu", signal.SIGINT, 130),
        ("_pydantic|pyro|scipy", signal.SIGINT, 130),
        ("scipy", signal.SIGTERM, 143),
    ],
)
def test_an_interruption_while_it_imports_is_one_line(tmp_path, library, sent, status):
    process = start(tmp_path / "out")
    wait_for(lambda: any(name in maps(process) for name in library.split("|")), process)
    process.send_signal(sent)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == status, error
    assert error.count("\n") == 1
    assert error.startswith("manifoldflow: interrupted")
    assert list(tmp_path.iterdir()) == []


def clean_up_after(error):
    try:
        raise error
    finally:
        raise ValueError("cannot be closed")


def test_an_error_that_follows_an_interruption_is_none_of_its_own():
    stop = KeyboardInterrupt("stopped")
    for error, expected in ((stop, stop), (RuntimeError(), None)):
        with pytest.raises(ValueError, match="cannot be closed") as raised:
            clean_up_after(error)
        assert _interruption(raised.value) is expected


class Finalised:
    """Is interrupted while it is finalised, where Python drops exceptions."""

    def __init__(self, sent):
        self.sent = sent

    def __del__(self):
        os.kill(os.getpid(), self.sent)
        time.sleep(1)


def work_with(sent):
    Finalised(sent)  # which is gone at once
    time.sleep(20)


@pytest.fixture
def heeded():
    """A job in the background of a shell ignores SIGINT, and so would these tests there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_not_lost_in_a_finaliser(sent):
    received = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), _interruptible(received):
        work_with(sent)
    assert time.monotonic() - began < 10
    assert set(received) == ({signal.SIGTERM} if sent is signal.SIGTERM else set())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_is_one_line_and_goes_on(tmp_path, command, sent, status):
    out = tmp_path / "run" / "out"
    process = command(*TRAIN, "--out", out, "--checkpoint-every", "5", errors=tmp_path / "errors")
    deadline = time.monotonic() + 120
    while not (out.parent / ".out.unfinished" / "checkpoints" / "last.ckpt").is_file():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, sent)
    process.join(timeout=120)
    error = (tmp_path / "errors").read_text()
    assert process.exitcode == status, error
    assert error.count("\n") == 1
    assert error.startswith("manifoldflow: training stopped at step ")
    assert error.endswith("; continue from the last checkpoint with --resume\n")
    assert [path.name for path in out.parent.iterdir()] == [".out.unfinished"]
