"""The command in two real processes: the same bits as one, also after one of them was killed."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from manifoldflow.files import unfinished
from manifoldflow.steps import solve_step

CHUNK = 2
SETTINGS = {"method": "typical-bridge", "steps": 3, "chunk": CHUNK, "store": ("points", "values")}
# Each starts two processes that meet at a free port: one after the other.
pytestmark = pytest.mark.xdist_group("two processes")


def command(vmf, ends, out, devices=2):
    options = ["--method", "typical-bridge", "--steps", 3, "--chunk", CHUNK, "--store", "points", "--store", "values"]
    spread = ["--devices", devices, "--accelerator", "cpu", "--quiet"]
    arguments = [sys.executable, "-m", "manifoldflow", "solve", vmf.folder, ends, "--out", out, *options, *spread]
    return list(map(str, arguments))


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


@pytest.fixture(scope="module")
def many(vmf, tmp_path_factory):
    """A file of 400 rows, and what one process makes of it."""
    folder = tmp_path_factory.mktemp("many")
    start, end = (points.repeat(10, 1).numpy() for points in (vmf.start, vmf.end))
    np.savez(folder / "ends.npz", start=start, end=end)
    solve_step(vmf.folder, folder / "ends.npz", folder / "one", progress=False, **SETTINGS)
    return folder


def assert_same(one, other):
    names = sorted(path.name for path in one.glob("*.npy"))
    assert names == sorted(path.name for path in other.glob("*.npy"))
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def wait_for_shards(out, count, process):
    shards = unfinished(out) / "shards"
    deadline = time.monotonic() + 300
    while not shards.is_dir() or len(list(shards.glob("part-*.npz"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def child_of(process):
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    (child,) = [pid for pid, parent in pairs if parent == process.pid]
    return child


def killed(vmf, many, out, whom):
    """Start two processes, kill one, and return the status and the standard error of the command."""
    process = subprocess.Popen(
        command(vmf, many / "ends.npz", out), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, cwd=many
    )
    wait_for_shards(out, 6, process)
    os.kill(child_of(process) if whom == "second" else process.pid, signal.SIGKILL)
    error = process.communicate(timeout=300)[1]
    assert not out.exists()
    assert 6 <= len(list((unfinished(out) / "shards").glob("part-*.npz"))) < 400 / CHUNK
    return process.returncode, error


def test_one_of_two_processes_killed(vmf, many, tmp_path):
    status, error = killed(vmf, many, tmp_path / "out", "second")
    # Lightning looks every five seconds whether its processes live, and kills the command if it looks before we do.
    assert status in (1, -signal.SIGKILL)
    if status == 1:
        assert "was ended by SIGKILL; what is finished is kept: run the same command again to go on" in error
        assert error.count("\n") == 1
    solve_step(vmf.folder, many / "ends.npz", tmp_path / "out", progress=False, **SETTINGS)
    assert_same(many / "one", tmp_path / "out")


@pytest.mark.slow
def test_the_first_of_two_processes_killed(vmf, many, tmp_path):
    status, _ = killed(vmf, many, tmp_path / "out", "first")
    assert status == -signal.SIGKILL
    again = subprocess.run(
        command(vmf, many / "ends.npz", tmp_path / "out"), env=ENVIRONMENT, capture_output=True, text=True, timeout=3000
    )
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert_same(many / "one", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_job_says_how_to_go_on(vmf, many, tmp_path, sent):
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(vmf, many / "ends.npz", out, 1), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    wait_for_shards(out, 6, process)
    process.send_signal(sent)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 128 + sent
    assert "what is finished is kept: run the same command again to go on" in error
    assert subprocess.run(command(vmf, many / "ends.npz", out, 1), env=ENVIRONMENT, timeout=3000).returncode == 0
    assert_same(many / "one", out)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_more_processes_than_blocks(vmf, tmp_path, processes):
    ends = vmf.ends(tmp_path / "ends.npz", rows=CHUNK)
    solve_step(vmf.folder, ends, tmp_path / "one", progress=False, **SETTINGS)
    subprocess.run(command(vmf, ends, tmp_path / "out", processes), env=ENVIRONMENT, timeout=3000, check=True)
    assert_same(tmp_path / "one", tmp_path / "out")


@pytest.mark.slow
def test_two_machines_also_where_only_the_end_is_left(vmf, many, tmp_path):
    """The command started by hand on each; then again on what a kill after merging has left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
    out = tmp_path / "out"
    line = [*command(vmf, many / "ends.npz", out, devices=1), "--num-nodes", "2"]
    for _ in range(2):
        processes = [subprocess.Popen(line, env={**ENVIRONMENT, **address, "NODE_RANK": str(i)}) for i in range(2)]
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
        assert_same(out, many / "one")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        out.rename(unfinished(out))
