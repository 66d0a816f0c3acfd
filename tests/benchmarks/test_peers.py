"""The benchmark suite runs without any peer, and its page says what was found and what is missing."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.peers.case import Case, Goal, Score, Setting, measure, score
from benchmarks.peers.last import fallen
from benchmarks.peers.memory import fresh, peak
from benchmarks.peers.page import judge, page, write_page

ROOT = Path(__file__).parents[2]
OPTIONAL = ("geoopt", "normflows", "stochman", "zuko")


class Benchmark:
    """What `measure` needs of pytest-benchmark's fixture."""

    def __init__(self):
        self.group, self.extra_info, self.stats = "", {}, SimpleNamespace(stats=SimpleNamespace(median=2.0))

    def pedantic(self, target, setup=None, rounds=1):
        for _ in range(rounds):
            if setup:
                setup()
            result = target()
        return result


def run(*arguments, without=()):
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r})); sys.argv = ['peers', *{list(arguments)!r}]\n"
        "from benchmarks.peers.__main__ import main; sys.exit(main())"
    )
    # Below one of xdist's workers pytest-benchmark would switch itself off.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_quick_run_without_peers(tmp_path):
    out, measurements = tmp_path / "page.md", tmp_path / "measurements.json"
    done = run("--quick", "--no-memory", "--out", str(out), "--json", str(measurements), without=OPTIONAL)
    assert done.returncode == 0, done.stdout + done.stderr
    text = out.read_text()
    for heading in ("Geometry", "Distributions", "Bridges", "Flows", "Paths", "Imports"):
        assert f"## {heading}\n" in text
    rows = [entry["extra_info"]["row"] for entry in json.loads(measurements.read_text())["benchmarks"]]
    gaps = {(row["room"], name) for row in rows for name, why in row["gaps"].items() if why == "not installed"}
    peers = {("Geometry", "geoopt"), ("Flows", "normflows"), ("Paths", "stochman spline, Adam")}
    assert peers <= gaps
    known = "not installed", "no pair gets there", "not positive definite", "fails (_LinAlgError", "fails (LinAlgError"
    assert not [why for row in rows for why in row["gaps"].values() if not why.startswith(known)]
    assert "geoopt: not installed" in text
    assert "is missing: geoopt, normflows, zuko, stochman, geosss.\n" in text
    assert all(row["ours"] >= 0 for row in rows)
    assert len({row["name"] for row in rows if "scipy" in str(row["peers"])}) >= 2


def test_no_device_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a device")
    done = run("--device", "cuda", "--out", str(tmp_path / "page.md"), "--json", str(tmp_path / "measurements.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("--device: expected a machine with a CUDA device, found none")
    assert not list(tmp_path.iterdir())


def comparison(**calls):
    goals = (Goal("peer / ours", at_least=2.0), Goal("slow / ours", at_least=2.0))
    return Case("Room", "work", lambda: calls, ("fast", "slow", "absent"), "nothing", goals, same=1e-6)


def test_peers_that_fail_or_miss_are_gaps():
    def fail():
        raise RuntimeError("no such kernel\nand more")

    calls = {"ours": lambda: torch.ones(3), "fast": lambda: torch.ones(3), "slow": fail, "floor": lambda: None}
    row = measure(comparison(**calls), Benchmark(), Setting(quick=True))
    assert row.gaps == {"absent": "not installed", "slow": "fails (RuntimeError: no such kernel)"}
    assert set(row.peers) == {"fast"}
    assert row.floor is not None


def test_results_must_agree():
    with pytest.raises(AssertionError, match="fast and ours differ"):
        measure(comparison(ours=lambda: torch.ones(3), fast=lambda: torch.zeros(3)), Benchmark(), Setting(quick=True))


def test_our_own_failure_is_no_gap():
    def fail():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        measure(comparison(ours=fail, fast=lambda: torch.ones(3)), Benchmark(), Setting(quick=True))
    with pytest.raises(AssertionError, match="no figure of ours"):
        score(Score("Room", "work", lambda: {"ours": "not there"}), Benchmark())


def test_goals_are_judged_by_their_quantity():
    benchmark = Benchmark()
    measured = {"ours": 2.0, "a": 8.0, "b": 3.0, "c": "not installed"}
    score(Score("Room", "work", lambda: measured, ("d",)), benchmark)
    row = benchmark.extra_info["row"] | {"floor": 4.0}
    for goal, value, met in (
        (Goal("peer / ours", at_least=1.5), 1.5, True),
        (Goal("peer / ours", at_least=1.6), 1.5, False),
        (Goal("a / ours", at_least=4.0), 4.0, True),
        (Goal("ours / a", at_most=0.2), 0.25, False),
        (Goal("ours / floor", at_most=0.5), 0.5, True),
        (Goal("ours", at_most=1.0), 2.0, False),
        (Goal("c / ours", at_least=1.0), None, None),
    ):
        assert judge(row, asdict(goal)) == (value, met), goal


def test_page_names_goals_missed_and_gaps():
    benchmark = Benchmark()
    goals = (Goal("fast / ours", at_least=1e9), Goal("slow / ours", at_least=1.0))
    case = Case("Room", "work", lambda: {"ours": lambda: 0, "fast": lambda: 0}, ("fast", "slow"), goals=goals)
    measure(case, benchmark, Setting(quick=True))
    machine = {
        "device": "cpu",
        "machine": "x",
        "cores": 2,
        "python_version": "3",
        "versions": {"torch": "2", "zuko": None},
    }
    found = {"machine_info": machine, "command": "make bench", "datetime": "2026-01-02T03", "seconds": 90.0}
    text = page(found | {"benchmarks": [{"extra_info": benchmark.extra_info}]})
    assert "0 of 2 goals are met" in text
    assert "- Room, work: fast / ours ≥ 1.0e+09, came" in text
    assert "- Room, work: slow / ours ≥ 1, came no figure" in text
    assert "slow: not installed" in text
    assert "| work | 2 s | fast " in text
    assert "Written by `make bench`" in text
    assert "torch 2, zuko not installed" in text


def recorded(**rows):
    """What a run kept: ours, one peer and the floor in seconds."""
    fields = ("ours", "peer", "floor")
    found = {name: dict(zip(fields, values)) for name, values in rows.items()}
    rows = {
        n: {"ours": r["ours"], "peers": {"a": r["peer"]}, "floor": r["floor"], "seconds": True}
        for n, r in found.items()
    }
    return {"date": "2026-01-02", "machine": "x", "rows": rows}


def test_what_fell_by_more_than_a_fifth_is_named():
    before = recorded(busy=(1.0, 2.0, 4.0), slower=(1.0, 2.0, 4.0), near=(1.0, 2.0, 4.0), gone=(1.0, 1.0, 1.0))
    now = recorded(busy=(3.0, 6.0, 12.0), slower=(1.5, 2.0, 4.0), near=(1.2, 2.0, 4.0), new=(9.0, 1.0, 1.0))
    assert fallen(before, now) == [("slower", pytest.approx(1 / 1.5))]
    alone = {"ours": 2.0, "peers": {}, "floor": None, "seconds": True}
    before["rows"] = {"alone": alone | {"ours": 1.0}, "error": alone | {"ours": 1.0, "seconds": False}}
    now["rows"] = {"alone": alone, "error": alone | {"seconds": False}}
    assert fallen(before, now) == [("alone", 0.5)]
    assert fallen(before, now | {"machine": "another"}) == []


def test_a_page_is_compared_with_the_one_before_it(tmp_path):
    benchmark = Benchmark()
    case = Case("Room", "work", lambda: {"ours": lambda: 0, "floor": lambda: 0}, floor="nothing", peers=())
    measure(case, benchmark, Setting(quick=True))
    machine = {"device": "cpu", "machine": "x", "cores": 2, "python_version": "3", "versions": {}}
    found = {"machine_info": machine, "command": "make bench", "datetime": "2026-01-02T03", "seconds": 90.0}
    path, out = tmp_path / "run.json", tmp_path / "page.md"
    for factor in (1.0, 1.1, 1.5):
        row = benchmark.extra_info["row"]
        row = row | {"ours": factor * row["ours"], "floor": row["ours"]}
        path.write_text(json.dumps(found | {"benchmarks": [{"extra_info": {"row": row}}]}))
        slower = write_page(path, out)
        text = out.read_text()
        assert ("Since the run of 2026-01-02" in text) == (factor > 1)
        assert ("Room: Speed: work" in text) == bool(slower) == (factor == 1.5)


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark can be reset on Linux only")
def test_peak_counts_temporary_arrays():
    found = peak(lambda: (torch.ones(8 * 2**20) + 1).sum())  # two arrays of 32 MiB
    assert 60 < found < 80


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark can be reset on Linux only")
def test_memory_in_a_process_of_its_own():
    from benchmarks.peers.bridges import paths

    setting = Setting()
    case = next(case for case in paths(setting) if case.memory)
    assert fresh(case, "floor", setting) == pytest.approx(1000 * 50 * 1024 * 4 / 2**20, rel=0.1)
    assert "KeyError" in fresh(case, "nobody", setting)
