"""Run every comparison with other libraries and write the page: `python -m benchmarks.peers`, or `make bench`.

The measurements of pytest-benchmark are kept beside the page as JSON under runs/; `--page FILE` writes the page from
such a file again. A run is compared with the last one that wrote the page: what fell by more than a fifth is named
there and printed. If one of our own calls fails, no page is written and the exit status is 1.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the way; writes to runs/")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--out", type=Path, help="the page; default docs/benchmarks.md, or docs/benchmarks_cuda.md")
    parser.add_argument("--json", type=Path, help="the measurements; default runs/benchmarks.json")
    parser.add_argument("--rooms", help="only these subjects, separated by commas; --out is then needed")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--page", type=Path, metavar="JSON", help="write the page from these measurements, run nothing")
    chosen = parser.parse_args()
    if chosen.rooms and not chosen.out:
        parser.error("--rooms: expected --out FILE with it, since the page would miss the other subjects")
    name = "benchmarks" + ("" if chosen.device == "cpu" else "_cuda")
    chosen.out = chosen.out or ROOT / ("runs" if chosen.quick else "docs") / f"{name}.md"
    chosen.json = chosen.json or ROOT / "runs" / f"{name}.json"
    return chosen


def refuse(device: str) -> str | None:
    """Why this cannot run here, if it cannot."""
    try:
        import pytest_benchmark  # noqa: F401
    except ImportError:
        return 'benchmarks need pytest-benchmark; install it with: pip install -e ".[bench]"'
    import torch

    if device != "cpu" and not device.startswith("cuda"):
        return f"--device: expected cpu or cuda, got {device}"
    if device != "cpu" and not torch.cuda.is_available():
        return "--device: expected a machine with a CUDA device, found none; leave it out to run on the CPU"
    return None


def main() -> int:
    """Run pytest in this process, then write the page."""
    chosen = options()
    from benchmarks.peers.page import write_page

    if chosen.page:
        report(write_page(chosen.page, chosen.out))
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch start
    if why := refuse(chosen.device):
        print(why, file=sys.stderr)
        return 2
    import pytest

    os.chdir(ROOT)  # pytest's settings and the fresh processes start from here
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    timer = "time.process_time" if chosen.device == "cpu" else "time.perf_counter"
    arguments = [str(Path(__file__).parent), "--rootdir", str(ROOT), "-q", "--import-mode=importlib"]
    # The peers' warnings are theirs; the settings of the tests do not hold here.
    arguments += ["-o", "addopts=", "-o", "filterwarnings=ignore", "-p", "no:cacheprovider"]
    arguments += [f"--benchmark-json={chosen.json}", f"--benchmark-timer={timer}", "--benchmark-columns=median,rounds"]
    arguments += ["--device", chosen.device, *(["--quick"] if chosen.quick else [])]
    arguments += [*(["--rooms", chosen.rooms] if chosen.rooms else []), *(["--no-memory"] if chosen.no_memory else [])]
    status = int(pytest.main(arguments))
    if status == 0:
        slower = write_page(chosen.json, chosen.out)
        print(f"wrote {chosen.out}")
        report(slower)
    return status


def report(slower: list[tuple[str, float]]) -> None:
    """Name what fell since the page was last written."""
    for name, change in slower:
        print(f"slower than in the last run: {name}: {change:.0%} of the speed then")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
