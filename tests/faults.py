"""What a fault leaves behind: `python -m tests.faults --trials N --seed S` disturbs commands, and runs them again.

A trial takes one command of images or points, tiny, and one fault: a signal at any time, a file that may not grow
further, a folder that may not be written, an input that is truncated or has a flipped bit, a twin that writes the same
output, or a kill after which a file that was left to go on from is damaged. In some trials the output of an earlier
run stands there. A trial is passed if whatever the disturbed command said was one line, which names the file or its
folder where an input was damaged; if it ended well only with the result of an undisturbed run, and an earlier output
survived where it did not; and if, the cause being removed, the same command (with `--resume`, if it asks for that)
gives that result and leaves nothing else.
"""

import argparse
import collections
import contextlib
import csv
import ctypes
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .commands import start_command

IMAGES = ["--levels", 1, "--steps", 1, "--hidden", 4, "--epochs", 3, "--batch-size", 60, "--checkpoint-every", 5]
PATHS = ["--dim", 2, "--pairs", 4, "--segments", 2, "--iterations", 1]
CAPABILITIES = 0x20080522
"""Version 3 of Linux's interface to what root may, see capset(2)."""
_WORDS = 512
"""Bytes that a full disk leaves, since the message of the command goes to a file, too."""
VOLATILE = ("second", "sha256", "sums", "seal")
"""Parts of the names of fields that differ between two runs: times, and checksums of files with times."""

CHECKED = (".ckpt", ".json", ".lock", ".npz", ".safetensors")
"""Files by which commands go on, with checksums; and locks, whose content does not matter."""
LOG = re.compile(r"log(-\d+)?")


@dataclass(frozen=True)
class Command:
    """A command as it is run in the folder of a trial.

    Args:
        arguments: But `--out`.
        out: Its output.
        inputs: All that it reads.
        plain: Data of the user without checksums: changed, they may give another result.
        timed: Whether its page shows times of this run.
        weight: How often it is drawn.
        resumes: Whether what a killed run leaves is gone on from.
    """

    arguments: tuple
    out: str
    inputs: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    timed: bool = False
    weight: float = 1.0
    resumes: bool = False


def _points(*options, data="points.npz"):
    return ("train", "--data", data, "--space", "sphere", *options)


_OF_MODEL = ("model", "images.npz")
COMMANDS = {
    "train (images)": Command(
        ("train", "--data", "images.npz", "--base", "vmf", *IMAGES), "model", ("images.npz",), resumes=True
    ),
    "sample (images)": Command(("sample", "model", "--count", 4), "samples", ("model",)),
    "interpolate (images)": Command(
        ("interpolate", "model", "--method", "geodesic", "--method", "matched", "--pairs", 64, "--gif"),
        "paths",
        _OF_MODEL,
    ),
    "evaluate (images)": Command(("evaluate", "paths"), "table", (*_OF_MODEL, "paths")),
    "report (images)": Command(("report", "table"), "page", ("model", "paths", "table")),
    "ends": Command(("ends", "model", "--pairs", 40), "pairs", _OF_MODEL),
    "solve": Command(
        ("solve", "model", "pairs", "--chunk", 5, "--store", "points", "--store", "values", "--features", "classifier"),
        "solved",
        (*_OF_MODEL, "pairs"),
        resumes=True,
    ),
    "solve (own images)": Command(
        ("solve", "model", "ends.npz", "--method", "typical-bridge", "--chunk", 5),
        "bridges",
        ("model", "ends.npz"),
        resumes=True,
    ),
    "train (flow)": Command(
        _points("--epochs", 3, "--batch-size", 50, "--checkpoint-every", 3), "flow", ("points.npz",), resumes=True
    ),
    "train (kernel density)": Command(_points("--model", "kde"), "kernel", ("points.npz",)),
    "train (mixture)": Command(
        _points("--model", "mixture", "--components", 2, data="places.csv"), "mixture", plain=("places.csv",)
    ),
    "train (flow matching)": Command(_points("--model", "matching", "--epochs", 2), "matching", ("points.npz",)),
    "sample (points)": Command(("sample", "flow", "--count", 30), "draws", ("flow",)),
    "density (grid)": Command(("density", "flow", "--resolution", 12), "density.npz", ("flow",)),
    "density (file)": Command(
        ("density", "mixture", "--at", "places.csv"), "density.csv", ("mixture",), plain=("places.csv",)
    ),
    "interpolate (points)": Command(
        ("interpolate", "flow", "--method", "geodesic", "--method", "matched", "--pairs", 3, "--steps", 5),
        "ways",
        ("flow", "points.npz"),
    ),
    "interpolate (places)": Command(
        ("interpolate", "mixture", "--method", "geodesic", "--from", "10,20", "--to", "30,40", "--steps", 5),
        "routes",
        ("mixture",),
    ),
    "evaluate (points)": Command(
        ("evaluate", "flow", "kernel", "ways"), "judged", ("flow", "kernel", "ways", "points.npz")
    ),
    "report (points)": Command(("report", "judged"), "shown", ("judged", "flow", "kernel", "ways", "points.npz")),
    "demo": Command(("demo",), "demo", timed=True, weight=0.3),
    "experiment pinf": Command(
        ("experiment", "pinf", "--data", "images.npz", "--prior", "vmf-1", "--seeds", 1, "--pairs", 64, *IMAGES[:-2]),
        "pinf",
        ("images.npz",),
        weight=0.5,
        resumes=True,
    ),
    "experiment realism": Command(
        ("experiment", "realism", "--data", "images.npz", "--epochs", 1, "--channels", 1, *PATHS),
        "realism",
        ("images.npz",),
        weight=0.3,
        resumes=True,
    ),
}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
FAULTS = (*SIGNALS, "disk full", "no rights", "truncated", "flipped bit", "twin", "damaged rest")


def write_data(folder: Path) -> None:
    """Labelled images of 4x4 pixels, points around two places, the places as text, and images to join."""
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", images=rng.integers(0, 17, (600, 4, 4), dtype=np.uint8), labels=np.arange(600) % 4)
    points = rng.normal(size=(300, 3)) + 3 * np.eye(3)[rng.integers(0, 2, 300)]
    np.savez(folder / "points.npz", points=points / np.linalg.norm(points, axis=1, keepdims=True))
    places = np.column_stack([rng.normal(20, 5, 150), rng.normal(40, 9, 150)])
    np.savetxt(folder / "places.csv", places, "%.3f", ",", header="latitude,longitude", comments="")
    start, end = rng.integers(0, 17, (2, 30, 1, 4, 4), dtype=np.uint8)
    np.savez(folder / "ends.npz", start=start, end=end)


def _tiny_demo(data: str):
    from manifoldflow.steps import DemoSize
    from manifoldflow.training import TrainSettings

    return DemoSize(1, 1, 4, 64, TrainSettings(epochs=1, batch_size=256, warmup=2), threads=1, globe=0)


def _bind_root() -> None:
    """Let rights stop root: as another user it could not read its own Python, perhaps."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    failed = libc.capget(header, held)
    for kind in range(3):  # effective, permitted, inheritable
        held[kind] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if failed or libc.capset(header, held):
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")


def _prepare(folder: Path, largest: int | None, bound: bool) -> None:
    """In the process of the command: its folder, a short training of the feature classifier, and limits."""
    from manifoldflow.experiments import RealismSettings
    from manifoldflow.steps import DemoSize
    from manifoldflow.training import train_classifier

    os.chdir(folder)
    train_classifier.__kwdefaults__["steps"] = 20  # type: ignore[index]
    RealismSettings.__init__.__defaults__ = (*RealismSettings.__init__.__defaults__[:-1], 20)  # type: ignore[index,misc]
    DemoSize.of = staticmethod(_tiny_demo)  # type: ignore[method-assign, assignment]
    (folder.parent / "begun").touch()
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if bound and os.getuid() == 0:
        _bind_root()


def start(command: Command, folder: Path, name: str, *, resume=False, largest=None, bound=False):
    """A process of the command in a folder; its standard error goes to `name` beside the folder."""
    arguments = [*command.arguments, "--out", command.out, "--quiet"]
    if resume:
        arguments = ["train", "--resume", "--out", command.out, "--quiet"]
    (folder.parent / "begun").unlink(missing_ok=True)
    errors = folder.parent / name
    errors.touch()
    return start_command(arguments, errors, partial(_prepare, folder, largest, bound))


def run(command: Command, folder: Path, **options) -> tuple[int, str]:
    """Exit code and standard error of a command that is left alone."""
    process = start(command, folder, "errors", **options)
    process.join(600)
    return process.exitcode, (folder.parent / "errors").read_text()


def _begin(root: Path, process) -> float:
    """Wait until a command begins; the time then."""
    while not (root / "begun").exists() and process.is_alive():
        time.sleep(0.001)
    return time.monotonic()


def digest(path: Path, *, timed: bool = False) -> str:
    """Of the content of a file or folder, without times; and without pages, if they show times of this run."""
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        kept = [name for name in names if not any(map(LOG.fullmatch, Path(name).parts)) and not name.endswith(".md")]
        parts = [(name, digest(path / name, timed=timed)) for name in kept]
        return hashlib.sha256(repr(parts).encode()).hexdigest()
    if path.suffix == ".json":
        try:
            content = repr(_lasting(json.loads(path.read_bytes()))).encode()
        except ValueError:
            content = path.read_bytes()
    elif path.suffix == ".csv":
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        content = repr([_lasting(row) for row in csv.DictReader(lines)]).encode()
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            content = b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))
    elif path.suffix == ".html" and timed:
        return "a page"
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _lasting(content):
    if isinstance(content, dict):
        return {name: _lasting(content[name]) for name in sorted(content) if not any(part in name for part in VOLATILE)}
    if isinstance(content, list):  # each resumption has a log of its own
        return [_lasting(value) for value in content if not (isinstance(value, str) and LOG.fullmatch(value))]
    return content


def remove(path: Path) -> None:
    """A file or a folder with all that it holds; nothing, if there is none."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@dataclass
class Undisturbed:
    """A folder in which every command ran once, digests of the outputs, and how long each took."""

    folder: Path
    digests: dict[str, str]
    seconds: dict[str, float]


def undisturbed(root: Path) -> Undisturbed:
    """Run every command once, in the folder in which the trials will run: records hold absolute paths.

    Raises:
        RuntimeError: One fails.
    """
    work = root / "work"
    work.mkdir()
    write_data(work)
    found = Undisturbed(root / "whole", {}, {})
    for name, command in COMMANDS.items():
        process = start(command, work, "errors")
        begun = _begin(root, process)
        process.join(600)
        found.seconds[name] = time.monotonic() - begun
        code, said = process.exitcode, (root / "errors").read_text()
        if (code, said) != (0, ""):
            raise RuntimeError(f"{name}: undisturbed, it ended in {code}: {said}")
        found.digests[name] = digest(work / command.out, timed=command.timed)
    work.rename(found.folder)
    return found


class Trial:
    """One command and one fault in a folder that holds what the command reads, and perhaps an earlier output."""

    def __init__(self, whole: Undisturbed, name: str, fault: str, rng: random.Random):
        self.whole, self.name, self.command, self.fault, self.rng = whole, name, COMMANDS[name], fault, rng
        self.folder = whole.folder.parent / "work"
        self.out = self.folder / self.command.out
        self.replaces = fault != "damaged rest" and rng.random() < 0.3

    def outcome(self) -> str | None:
        """What is wrong; None if the trial is passed."""
        remove(self.folder)
        self.folder.mkdir()
        names = [*self.command.inputs, *self.command.plain, *([self.command.out] if self.replaces else [])]
        for name in names:
            source = self.whole.folder / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, self.folder / name)
        return self._disturb() or self._again({*names, self.command.out})

    def _disturb(self) -> str | None:
        """Run the command under the fault, or two of it; the cause is removed afterwards."""
        if self.fault == "twin":
            return self._twins()
        if self.fault == "damaged rest":
            return self._rest()
        if self.fault in SIGNALS:
            return self._judged(*self._signalled(getattr(signal, self.fault)))
        if self.fault == "disk full":
            sizes = [path.stat().st_size for path in _files(self.whole.folder / self.command.out)]
            return self._judged(*run(self.command, self.folder, largest=max(_WORDS, self.rng.randrange(max(sizes)))))
        if self.fault == "no rights":
            code, said = self._forbidden()
            if code == 0 and not self.replaces:
                return "wrote where nothing may be written"
            return self._judged(code, said)
        files = [path for name in (*self.command.inputs, *self.command.plain) for path in _files(self.folder / name)]
        path = self.rng.choice(files)
        content = path.read_bytes()
        self._spoil(path, self.fault)
        code, said = run(self.command, self.folder)
        path.write_bytes(content)
        if code == 0 and path.name in self.command.plain:
            remove(self.out)
            return None
        if code and not ({path.name, path.parent.name} - {self.folder.name}) & set(re.split(r"[\s/:'\",]+", said)):
            return f"{path.relative_to(self.folder)}: not named: {said[-300:]!r}"
        outcome = self._judged(code, said)
        return f"{path.relative_to(self.folder)}: {outcome}" if outcome else None

    def _judged(self, code: int, said: str) -> str | None:
        """What is wrong with how a disturbed run ended."""
        if code == -signal.SIGKILL:
            return None
        if code == 0 and (said or not self._is_right()):
            return f"ended well with another result, said: {said[-300:]!r}"
        if code != 0 and not re.fullmatch(r"manifoldflow: [^\n]+\n", said):
            return f"exit {code}, said: {said[-300:]!r}"
        return "an earlier output is lost" if self.replaces and not self._is_right() else None

    def _again(self, expected: set[str]) -> str | None:
        """What is wrong with the same command, left alone."""
        code, said = run(self.command, self.folder)
        if code == 1 and "--resume" in said:
            code, said = run(self.command, self.folder, resume=True)
        if (code, said) != (0, ""):
            return f"again: exit {code}, said: {said[-300:]!r}"
        if not self._is_right():
            return "again: another result"
        more = {path.name for path in self.folder.iterdir()} - expected
        return f"again: left {sorted(more)}" if more else None

    def _is_right(self) -> bool:
        return self.out.exists() and digest(self.out, timed=self.command.timed) == self.whole.digests[self.name]

    def _signalled(self, number: int) -> tuple[int, str]:
        process = start(self.command, self.folder, "errors")
        _begin(self.folder.parent, process)
        process.join(self.rng.uniform(0, self.whole.seconds[self.name]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        process.join(600)
        return process.exitcode, (self.folder.parent / "errors").read_text()

    def _forbidden(self) -> tuple[int, str]:
        """The folder may be read and not written."""
        os.chmod(self.folder, 0o555)
        try:
            return run(self.command, self.folder, bound=True)
        finally:
            os.chmod(self.folder, 0o755)

    def _twins(self) -> str | None:
        processes = [start(self.command, self.folder, f"errors{i}") for i in range(2)]
        for process in processes:
            process.join(600)
        said = [(self.folder.parent / f"errors{i}").read_text() for i in range(2)]
        return next(filter(None, map(self._judged, (process.exitcode for process in processes), said)), None)

    def _rest(self) -> str | None:
        """Killed, and one of the files left to go on from is damaged: that is seen, or does not matter."""
        inputs, files = set(_files(self.folder)), []
        while not files:
            remove(self.out)
            code, _ = self._signalled(signal.SIGKILL)
            if code:  # otherwise it was faster
                files = [path for path in _files(self.folder) if path not in inputs and path.suffix in CHECKED]
        path, fault = self.rng.choice(files), self.rng.choice(("truncated", "flipped bit"))
        self._spoil(path, fault)
        for _ in range(4):
            code, said = run(self.command, self.folder)
            if code == 1 and "continue it with --resume" in said:
                code, said = run(self.command, self.folder, resume=True)
            outcome = self._judged(code, said)
            if outcome or code == 0:
                break
            for name in re.findall(r"remove ([^\s;,]+)", said):
                remove(self.folder / name)
        else:
            outcome = f"no remedy in {said[-300:]!r}"
        return f"{path.relative_to(self.folder)}, {fault}: {outcome}" if outcome else None

    def _spoil(self, path: Path, fault: str) -> None:
        """Truncate a file, or turn one of its bits over."""
        content = path.read_bytes()
        at = self.rng.randrange(len(content))
        flipped = content[:at] + bytes([content[at] ^ 1 << self.rng.randrange(8)]) + content[at + 1 :]
        path.write_bytes(content[:at] if fault == "truncated" else flipped)


def _files(path: Path) -> list[Path]:
    """The files in a folder that hold something, or the file itself."""
    return [p for p in ([path] if path.is_file() else sorted(path.rglob("*"))) if p.is_file() and p.stat().st_size]


def _suits(command: Command, fault: str) -> bool:
    if fault == "damaged rest":
        return command.resumes
    return fault not in ("truncated", "flipped bit") or bool(command.inputs or command.plain)


def campaign(trials: int, seed: int, say=print) -> dict[tuple[str, str], list[str | None]]:
    """Outcomes by command and fault: every fault in turn, on commands drawn by the seed."""
    rng = random.Random(seed)
    drawn = []
    for number in range(trials):
        fault = FAULTS[number % len(FAULTS)]
        names = [name for name, command in COMMANDS.items() if _suits(command, fault)]
        drawn.append((rng.choices(names, [COMMANDS[name].weight for name in names])[0], fault))
    found: dict[tuple[str, str], list[str | None]] = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        os.chmod(root, 0o755)
        whole = undisturbed(root)
        for number, (command, fault) in enumerate(drawn):
            outcome = Trial(whole, command, fault, random.Random(f"{seed} {number}")).outcome()
            found[command, fault].append(outcome)
            if outcome:
                say(f"{number}: {command}, {fault}: {outcome}")
    return found


def table(found: dict[tuple[str, str], list[str | None]]) -> str:
    """Passed of all trials, by command and fault, in Markdown."""
    lines = ["| command | " + " | ".join(FAULTS) + " |", "| --- " * (len(FAULTS) + 1) + "|"]
    for name in COMMANDS:
        cells = []
        for fault in FAULTS:
            outcomes = found.get((name, fault), [])
            cells.append(f"{outcomes.count(None)}/{len(outcomes)}" if outcomes else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    outcomes = [outcome for some in found.values() for outcome in some]
    return "\n".join([*lines, "", f"{outcomes.count(None)} of {len(outcomes)} trials passed."])


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    found = campaign(options.trials, options.seed, say=partial(print, flush=True))
    print(table(found))
    return int(any(outcome for some in found.values() for outcome in some))


if __name__ == "__main__":
    sys.exit(main())
