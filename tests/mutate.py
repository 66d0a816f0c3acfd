"""Do the tests notice wrong code? `python -m tests.mutate ROOM --count N --seed S` changes one line at a time.

Each mutant is written into a copy of the repository. There those of the room's tests run that reach the changed line,
from the file of the same name on, until one fails. A mutant without a failure has survived: it is the same program for
every user, or a test is missing. Where the tests that reach a line take longer than `--limit`, a mutant that passed
those for which there was time is undecided, and one that hangs is killed only if its tests took less than a third of
the limit unchanged.
"""

import argparse
import collections
import compileall
import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from .mutants import Mutant, sample_mutants

ROOT = Path(__file__).parent.parent
COPIED = ("manifoldflow", "tests", "benchmarks", "docs", "README.md", "pyproject.toml", "setup.cfg", "Makefile")
FURTHER = {"special": ["tests/distributions/spherical"], "charts": ["tests/flows/test_flow.py"]}
"""Tests of a room besides those in its folder of `tests/`."""

_MEMORY = 12 * 2**30


@dataclass
class Reach:
    """Which tests reach which lines of a room, and how long each takes; found by running them once unchanged."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests of a line, in the order in which they are to run; lines that run on import are everyone's."""
        lines = self.lines.get(str(mutant.file), {})
        found = set(lines.get(mutant.line, []))
        if "" in found:
            found |= {test for tests in lines.values() for test in tests}
        of_file: dict[str, float] = collections.defaultdict(float)
        for test in found - {""}:
            of_file[test.partition("::")[0]] += self.seconds[test]
        name = mutant.file.stem.strip("_")

        def order(test: str) -> tuple[bool, float, str, float]:
            file = test.partition("::")[0]
            return name not in Path(file).stem, of_file[file], file, self.seconds[test]

        return sorted(found - {""}, key=order)


class _Plugin:
    """Runs the given tests in the given order; or notes for each test what it reaches, and its time."""

    def __init__(self, copy: Path, wanted: list[str] | None, coverage=None):
        self.copy, self.wanted, self.coverage, self.seconds = copy, wanted, coverage, {}

    def pytest_configure(self):
        from hypothesis import Phase, settings

        # A failing example is enough, a smaller one would take time.
        settings.register_profile("mutants", settings.default, phases=(Phase.explicit, Phase.generate), database=None)
        settings.load_profile("mutants")

    def pytest_sessionstart(self):
        import manifoldflow

        assert Path(manifoldflow.__file__).is_relative_to(self.copy), manifoldflow.__file__

    def pytest_collection_modifyitems(self, items):
        if self.wanted is not None:
            place = {test: i for i, test in enumerate(self.wanted)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid):
        if self.coverage:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def _run_pytest(copy: Path, arguments: list[str], plugin: _Plugin) -> int:
    import pytest

    return int(
        pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", *arguments], [plugin])
    )


def _fork(copy: Path, log: Path, seconds: float, work) -> int | None:
    """The exit status of `work()` in a process of its own in the copy; None if it ran out of time."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.chdir(copy)
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
            sys.path[0] = os.environ["PYTHONPATH"] = str(copy)
            for name in [name for name in sys.modules if name.split(".")[0] in ("manifoldflow", "tests", "benchmarks")]:
                del sys.modules[name]
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def find_reach(copy: Path, room: str, folder: Path, kept: Path | None = None) -> Reach:
    """Run the room's tests once, unchanged; those whose files, helpers and room are as in `kept` are not run again.

    Raises:
        SystemExit: One of them fails.
    """
    stored = json.loads(kept.read_text()) if kept and kept.exists() else {}
    if stored.get("sources") != _digest(copy, stored.get("loaded", [])):
        stored = {}
    of_file = stored.get("tests", {})
    paths = [copy / path for path in (f"tests/{room}", *FURTHER.get(room, []))]
    files = sorted({file for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py"))})
    digests = {str(file.relative_to(copy)): _digest(copy, [str(file.relative_to(copy))]) for file in files}
    stale = [file for file, digest in digests.items() if of_file.get(file, {}).get("digest") != digest]

    def work() -> int:
        import coverage

        measure = coverage.Coverage(data_file=None, include=[f"{copy}/manifoldflow/{room}/*"], config_file=False)
        plugin = _Plugin(copy, None, measure)
        measure.start()
        status = _run_pytest(copy, stale, plugin)
        measure.stop()
        data, lines = measure.get_data(), {}
        for file in data.measured_files():
            lines[str(Path(file).relative_to(copy))] = data.contexts_by_lineno(file)
        loaded = [Path(getattr(module, "__file__", None) or "/") for module in list(sys.modules.values())]
        places = (copy / "tests", copy / "manifoldflow" / room)
        ours = {str(file.relative_to(copy)) for file in loaded if any(map(file.is_relative_to, places))}
        found = {"seconds": plugin.seconds, "lines": lines, "loaded": sorted(ours - set(digests))}
        (folder / "reach.json").write_text(json.dumps(found))
        return status

    if stale:
        failed = _fork(copy, folder / "log", 3600, work) != 0
        found = json.loads((folder / "reach.json").read_text()) if (folder / "reach.json").exists() else {}
        done = list(dict.fromkeys(test.partition("::")[0] for test in found.get("seconds", {})))
        for file in done[:-1] if failed else stale:
            of_file[file] = {"digest": digests[file]} | _part(found, file)
        loaded = sorted({*found.get("loaded", []), *stored.get("loaded", [])})
        if kept:
            kept.write_text(json.dumps({"sources": _digest(copy, loaded), "loaded": loaded, "tests": of_file}))
        if failed:
            sys.exit(f"the tests of {room} fail unchanged: {(folder / 'log').read_text()[-2000:]}")
    reach = Reach()
    for file in digests:
        reach.seconds |= of_file[file]["seconds"]
        for source, lines in of_file[file]["lines"].items():
            here = reach.lines.setdefault(source, {})
            for line, tests in lines.items():
                here.setdefault(int(line), []).extend(tests)
    return reach


def _part(found: dict, file: str) -> dict:
    """What the tests of one file have found, and what ran on import."""

    def mine(test: str) -> bool:
        return not test or test.partition("::")[0] == file

    lines = {
        source: {line: list(filter(mine, tests)) for line, tests in of.items()} for source, of in found["lines"].items()
    }
    return {"seconds": {test: time for test, time in found["seconds"].items() if mine(test)}, "lines": lines}


def _digest(copy: Path, files: list[str]) -> str:
    """Of the content of files, those that are gone included."""
    content = hashlib.sha256()
    for file in files:
        content.update((copy / file).read_bytes() if (copy / file).exists() else b"gone")
        content.update(file.encode())
    return content.hexdigest()


def judge(copy: Path, mutant: Mutant, reach: Reach, limit: float, log: Path) -> str:
    """ "killed", "survived" or "undecided"."""
    wanted, total = [], 0.0
    tests = reach.tests(mutant)
    for test in tests:
        if total + reach.seconds[test] <= limit:
            wanted.append(test)
            total += reach.seconds[test]
    if not wanted:
        return "undecided" if tests else "survived"
    path = copy / mutant.file
    source, times = path.read_text(encoding="utf-8"), path.stat()
    files = list(dict.fromkeys(test.partition("::")[0] for test in wanted))
    try:
        path.write_text(mutant.apply(source), encoding="utf-8")
        # Imports take part of the time, and other processes may, too.
        status = _fork(copy, log, 3 * limit, lambda: _run_pytest(copy, files, _Plugin(copy, wanted)))
    finally:
        path.write_text(source, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled of it is up to date again
    if status is None:
        return "killed" if total < limit / 3 else "undecided"
    if status == 0:
        return "survived" if len(wanted) == len(tests) else "undecided"
    return "undecided" if status in (3, 4, 5, 70) else "killed"


def score_line(room: str, counts: collections.Counter, seconds: float) -> str:
    """A row of the table: the share of the decided mutants that were killed."""
    judged = counts["killed"] + counts["survived"]
    share = f"{100 * counts['killed'] / judged:.0f} %" if judged else "none judged"
    figures = (counts[kind] for kind in ("killed", "survived", "undecided"))
    return " | ".join(["", room, *map(str, figures), share, f"{seconds:.0f} s", ""]).strip()


def meets(counts: collections.Counter, goal: float, least: int) -> str | None:
    """Why a goal in per cent is missed; None if it is met. Too few judged mutants never meet one."""
    judged = counts["killed"] + counts["survived"]
    if judged < max(1, least):
        return f"only {judged} mutants were judged, fewer than --least {least}: no score"
    if 100 * counts["killed"] < goal * judged:
        return f"{counts['killed']} of {judged} killed, and the goal is {goal:g} %"
    return None


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__.splitlines()[0])
    parser.add_argument("room", help="folder of manifoldflow/, such as special")
    parser.add_argument("--count", type=int, default=20, help="mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of mutants")
    parser.add_argument("--only", type=int, action="append", help="only the mutant of this number; may be repeated")
    parser.add_argument("--limit", type=float, default=60, help="seconds of tests for each mutant")
    parser.add_argument("--reach", type=Path, help="file that keeps which tests reach a line, for further runs")
    parser.add_argument("--goal", type=float, help="fail below this score, in per cent")
    parser.add_argument("--least", type=int, default=10, help="mutants that must be judged for a score")
    options = parser.parse_args(arguments)
    mutants = sample_mutants(ROOT, options.room, options.count, options.seed)
    begun, counts = time.monotonic(), collections.Counter()
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    import manifoldflow.estimators  # with torch, Pyro and geomstats; each child imports only ours anew, from the copy

    assert manifoldflow
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy = folder / "copy"
        for part in COPIED:
            source, ignore = ROOT / part, shutil.ignore_patterns("__pycache__", "_build")
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=ignore)
            elif source.exists():
                shutil.copy(source, copy / part)
        compileall.compile_dir(copy / "manifoldflow", quiet=1)
        reach = find_reach(copy, options.room, folder, options.reach)
        for number, mutant in enumerate(mutants):
            if options.only and number not in options.only:
                continue
            found = judge(copy, mutant, reach, options.limit, folder / "log")
            counts[found] += 1
            print(f"{number}: {found}: {mutant.describe((ROOT / mutant.file).read_text(encoding='utf-8'))}", flush=True)
    print("\n| room | killed | survived | undecided | score | time |\n| --- | --- | --- | --- | --- | --- |")
    print(score_line(options.room, counts, time.monotonic() - begun))
    missed = meets(counts, options.goal, options.least) if options.goal is not None else None
    if missed:
        print(f"{options.room}: {missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
