"""What a fault leaves behind: `python -m tests.faults --trials N --seed S` disturbs commands, and runs them again.

A trial takes one command of images or points, tiny, and one fault: a signal at any time, a file that may not grow
further, a folder that may not be written, an input that is truncated or has a flipped bit, or a twin that writes the
same output. It is passed if whatever the disturbed command said was one line, if it ended well only with the result of
an undisturbed run, and if, the cause being removed, the same command (with `--resume`, if it asks for that) gives that
result and leaves nothing else.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
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
NOBODY = 65534
VOLATILE = ("second", "sha256")
"""Parts of the names of fields that differ between two runs: times, and checksums of files with times."""


@dataclass(frozen=True)
class Command:
    """A command as it is run in the folder of a trial: its arguments but `--out`, its output, and what it reads."""

    arguments: tuple
    out: str
    inputs: tuple[str, ...]


COMMANDS = {
    "train (images)": Command(("train", "--data", "images.npz", "--base", "vmf", *IMAGES), "model", ("images.npz",)),
    "sample (images)": Command(("sample", "model", "--count", 4), "samples", ("model",)),
    "interpolate (images)": Command(
        ("interpolate", "model", "--method", "geodesic", "--method", "matched", "--pairs", 64, "--steps", 11),
        "paths",
        ("model",),
    ),
    "evaluate (images)": Command(("evaluate", "paths"), "table", ("model", "paths")),
    "report (images)": Command(("report", "table"), "page", ("table",)),
    "train (points)": Command(
        ("train", "--data", "points.npz", "--space", "sphere", "--epochs", 3, "--batch-size", 50),
        "flow",
        ("points.npz",),
    ),
    "sample (points)": Command(("sample", "flow", "--count", 30), "draws", ("flow",)),
    "density (points)": Command(("density", "flow", "--resolution", 12), "density.npz", ("flow",)),
    "interpolate (points)": Command(
        ("interpolate", "flow", "--method", "geodesic", "--method", "matched", "--pairs", 3, "--steps", 5),
        "ways",
        ("flow",),
    ),
    "evaluate (points)": Command(("evaluate", "flow", "ways"), "judged", ("flow", "ways")),
    "report (points)": Command(("report", "judged"), "shown", ("judged",)),
    "demo": Command(("demo",), "demo", ()),
}
FAULTS = ("SIGKILL", "SIGTERM", "SIGINT", "disk full", "no rights", "truncated", "flipped bit", "twin")


def write_data(folder: Path) -> None:
    """Labelled images of 4x4 pixels and points around two places."""
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", images=rng.integers(0, 17, (600, 4, 4), dtype=np.uint8), labels=np.arange(600) % 4)
    points = rng.normal(size=(300, 3)) + 3 * np.eye(3)[rng.integers(0, 2, 300)]
    np.savez(folder / "points.npz", points=points / np.linalg.norm(points, axis=1, keepdims=True))


def _tiny_demo(data: str):
    from manifoldflow.steps import DemoSize
    from manifoldflow.training import TrainSettings

    return DemoSize(1, 1, 4, 64, TrainSettings(epochs=1, batch_size=256, warmup=2), threads=1, globe=0)


def _prepare(folder: Path, largest: int | None, nobody: bool) -> None:
    """In the process of the command: its folder, a short training of the feature classifier, and limits."""
    from manifoldflow.steps import DemoSize
    from manifoldflow.training import train_classifier

    os.chdir(folder)
    (folder.parent / "begun").touch()
    train_classifier.__kwdefaults__["steps"] = 20  # type: ignore[index]
    DemoSize.of = staticmethod(_tiny_demo)  # type: ignore[method-assign, assignment]
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if nobody and os.getuid() == 0:  # whom no rights stop
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def start(command: Command, folder: Path, name: str, *, resume=False, largest=None, nobody=False):
    """A process of the command in a folder; its standard error goes to `name` beside the folder."""
    arguments = [*command.arguments, "--out", command.out, "--quiet"]
    if resume:
        arguments = ["train", "--resume", "--out", command.out, "--quiet"]
    errors = folder.parent / name
    errors.touch()
    return start_command(arguments, errors, partial(_prepare, folder, largest, nobody))


def run(command: Command, folder: Path, **options) -> tuple[int, str]:
    """Exit code and standard error of a command that is left alone."""
    process = start(command, folder, "errors", **options)
    process.join(600)
    return process.exitcode, (folder.parent / "errors").read_text()


def digest(path: Path, *places: Path) -> str:
    """Of the content of a file or folder, without what differs between two runs, and without the names of `places`."""
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        kept = [name for name in names if not name.startswith(("log/", "table."))]  # tables repeat evaluation.json
        return hashlib.sha256(repr([(name, digest(path / name, *places)) for name in kept]).encode()).hexdigest()
    if path.suffix == ".json":
        text = repr(_lasting(json.loads(path.read_text())))
        for place in places:
            text = text.replace(str(place), "")
        content = text.encode()
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            content = b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))
    elif path.suffix == ".html":
        return "a page"  # of what evaluation.json has, times of training among it
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _lasting(content):
    if isinstance(content, dict):
        return {name: _lasting(content[name]) for name in sorted(content) if not any(part in name for part in VOLATILE)}
    return [_lasting(value) for value in content] if isinstance(content, list) else content


@dataclass
class Undisturbed:
    """The folder in which every command ran once: digests of the outputs, and how long each took."""

    folder: Path
    digests: dict[str, str]
    seconds: dict[str, float]


def undisturbed(folder: Path) -> Undisturbed:
    """Run every command once.

    Raises:
        RuntimeError: One fails.
    """
    folder.mkdir()
    write_data(folder)
    found = Undisturbed(folder, {}, {})
    for name, command in COMMANDS.items():
        begun = time.monotonic()
        code, said = run(command, folder)
        found.seconds[name] = time.monotonic() - begun
        if (code, said) != (0, ""):
            raise RuntimeError(f"{name}: undisturbed, it ended in {code}: {said}")
        found.digests[name] = digest(folder / command.out, folder)
    return found


class Trial:
    """One command and one fault in a copy of the undisturbed folder, without the command's output."""

    def __init__(self, whole: Undisturbed, name: str, fault: str, folder: Path, rng: random.Random):
        self.whole, self.name, self.command, self.fault, self.rng = whole, name, COMMANDS[name], fault, rng
        self.folder = folder / "work"
        shutil.copytree(whole.folder, self.folder)
        self.out = self.folder / self.command.out
        shutil.rmtree(self.out) if self.out.is_dir() else self.out.unlink()
        os.chmod(folder, 0o755)

    def outcome(self) -> str | None:
        """What is wrong; None if the trial is passed."""
        before = {path.name for path in self.folder.iterdir()}
        for code, said in self._disturbed():
            if code == 0 and not self._is_right():
                return "ended well with another result"
            if code not in (0, -signal.SIGKILL) and (said.count("\n") != 1 or "Traceback" in said):
                return f"exit {code}, said: {said[-300:]!r}"
        code, said = run(self.command, self.folder)
        if code == 1 and "--resume" in said:
            code, said = run(self.command, self.folder, resume=True)
        if (code, said) != (0, ""):
            return f"again: exit {code}, said: {said[-300:]!r}"
        if not self._is_right():
            return "again: another result"
        more = {path.name for path in self.folder.iterdir()} - before - {self.command.out}
        return f"again: left {sorted(more)}" if more else None

    def _is_right(self) -> bool:
        return self.out.exists() and digest(self.out, self.folder, self.whole.folder) == self.whole.digests[self.name]

    def _disturbed(self) -> list[tuple[int, str]]:
        """Exit codes and messages of the disturbed run or runs; the cause is removed afterwards."""
        if self.fault.startswith("SIG"):
            return [self._signalled(getattr(signal, self.fault))]
        if self.fault == "disk full":
            whole = self.whole.folder / self.command.out
            sizes = [
                path.stat().st_size for path in ([whole] if whole.is_file() else whole.rglob("*")) if path.is_file()
            ]
            return [run(self.command, self.folder, largest=self.rng.randrange(max(sizes)))]
        if self.fault == "no rights":
            return [self._forbidden()]
        if self.fault == "twin":
            processes = [start(self.command, self.folder, f"errors{i}") for i in range(2)]
            for process in processes:
                process.join(600)
            return [(p.exitcode, (self.folder.parent / f"errors{i}").read_text()) for i, p in enumerate(processes)]
        return [self._spoiled()]

    def _signalled(self, number: int) -> tuple[int, str]:
        process = start(self.command, self.folder, "errors")
        while not (self.folder.parent / "begun").exists() and process.is_alive():
            time.sleep(0.001)
        process.join(self.rng.uniform(0, self.whole.seconds[self.name]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        process.join(600)
        return process.exitcode, (self.folder.parent / "errors").read_text()

    def _forbidden(self) -> tuple[int, str]:
        """The folder may be read and not written."""
        os.chmod(self.folder, 0o555)
        try:
            return run(self.command, self.folder, nobody=True)
        finally:
            os.chmod(self.folder, 0o755)

    def _spoiled(self) -> tuple[int, str]:
        """A file that the command reads is truncated or has a flipped bit; then it is as before."""
        files = [self.folder / name for name in self.command.inputs]
        files = [p for path in files for p in ([path] if path.is_file() else sorted(path.rglob("*"))) if p.is_file()]
        path = self.rng.choice([p for p in files if p.stat().st_size])
        content = path.read_bytes()
        at = self.rng.randrange(len(content))
        if self.fault == "truncated":
            path.write_bytes(content[:at])
        else:
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << self.rng.randrange(8)]) + content[at + 1 :])
        try:
            return run(self.command, self.folder)
        finally:
            path.write_bytes(content)


def campaign(trials: int, seed: int, say=print) -> dict[tuple[str, str], list[str | None]]:
    """Outcomes by command and fault: every fault in turn, on commands drawn by the seed."""
    rng = random.Random(seed)
    drawn = []
    for number in range(trials):
        fault = FAULTS[number % len(FAULTS)]
        spoils = fault in ("truncated", "flipped bit")
        drawn.append((rng.choice([name for name, c in COMMANDS.items() if c.inputs or not spoils]), fault))
    found: dict[tuple[str, str], list[str | None]] = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.chmod(root, 0o755)
        whole = undisturbed(root / "whole")
        for number, (command, fault) in enumerate(drawn):
            folder = root / str(number)
            folder.mkdir()
            outcome = Trial(whole, command, fault, folder, random.Random(f"{seed} {number}")).outcome()
            found[command, fault].append(outcome)
            if outcome:
                say(f"{number}: {command}, {fault}: {outcome}")
            shutil.rmtree(folder)
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
