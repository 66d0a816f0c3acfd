"""Peak memory of one call: `python -m benchmarks.peers.memory ROOM CASE LABEL` prints MiB.

A process of its own builds the inputs, hands freed memory back, resets its high-water mark, runs the call once, and
prints by how much that mark then exceeds what it held before: results and every temporary array, whoever allocated
them. On a CUDA device it is torch's own peak of allocated memory. Figures within a few MiB are the code that a first
call loads.
"""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from .case import Case, Setting
from .rooms import cases_of

__all__ = ["fresh", "peak"]

ROOT = Path(__file__).parents[2]


def peak(call: Callable[[], object], device: str = "cpu") -> float:
    """MiB that a call needs at its highest, beyond what is held before it."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        torch.cuda.synchronize()
        del result
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if sys.platform != "linux":
        raise NotImplementedError("the high-water mark can be reset on Linux only")
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    held = _high_water()
    result = call()
    del result
    return _high_water() - held


def _high_water() -> float:
    """VmHWM in MiB; ru_maxrss would not do, as a process inherits that of the one which started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def fresh(case: Case, label: str, setting: Setting) -> float | str:
    """`peak` of one call of a case in a fresh process, or why there is none."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.memory", case.room.lower(), case.name, label]
    command += [setting.device, *(["--quick"] if setting.quick else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return f"memory: {(done.stderr.strip().splitlines() or ['no message'])[-1][:80]}"
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure the call that the arguments name."""
    room, name, label, device, *quick = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    setting = Setting(quick=bool(quick), device=device)
    case = next(case for case in cases_of(room, setting) if isinstance(case, Case) and case.name == name)
    print(peak(case.build()[label], device))


if __name__ == "__main__":
    main()
