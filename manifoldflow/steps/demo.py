"""The main job in one go: three flows, nine ways between images, an evaluation, a report; and the same on the globe."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from ..data import load_images
from ..evaluation import Evaluation, choose_pairs
from ..files import new_folder
from ..training import TrainSettings
from .evaluate import evaluate_step
from .globe import globe_files
from .interpolate import DEMO_METHODS, interpolate_step
from .record import versions
from .reporting import write_report_files
from .train import DataChoice, train_step

__all__ = ["DemoSize", "run_demo"]

_STEPS = 800
"""Training steps of each flow on data other than the digits, rounded up to whole epochs."""

_GLOBE = 6


@dataclass(frozen=True)
class DemoSize:
    """How large the demo is on a data set.

    Args:
        levels, steps, hidden: Glow's L, K and hidden channels.
        pairs: Pairs of test images.
        training: Of each flow.
        threads: torch's threads; None leaves them. Tiny images gain nothing from a second one, and
            lose much when another process wants the core.
        globe: Epochs of the flow of earthquakes; 0 for no globe.
    """

    levels: int
    steps: int
    hidden: int
    pairs: int
    training: TrainSettings
    threads: int | None = None
    globe: int = _GLOBE

    @classmethod
    def of(cls, data: str) -> "DemoSize":
        """The size that fits a data set: small for the 8x8 digits, larger otherwise; pairs as the test images allow.

        Every flow is trained for the same number of steps, however long that takes on this machine: on two idle cores
        about a minute on the digits, half an hour on 28x28 images.

        Raises:
            DataError: The data cannot be read.
        """
        if data == "digits":
            return cls(2, 8, 64, 300, _fixed_length(epochs=20, batch_size=32), threads=1)
        choice, count = DataChoice(data), len(load_images(data))
        # About one image in ten of ten classes meets its own class; leave room for unequal classes.
        pairs = max(64, min(500, int(0.5 * choice.test * count)))
        steps_per_epoch = max(1, int((1 - choice.test - choice.validation) * count) // 64)
        return cls(2, 8, 96, pairs, _fixed_length(epochs=-(-_STEPS // steps_per_epoch), batch_size=64))


def _fixed_length(*, epochs: int, batch_size: int) -> TrainSettings:
    """A training that neither the clock nor the validation loss ends early, so that bases compare."""
    return TrainSettings(epochs=epochs, batch_size=batch_size, patience=epochs)


def _check_data(choice: DataChoice, pairs: int, seed: int) -> None:
    """Find out before hours of training whether the test images give enough pairs."""
    train, _, test = choice.load()
    train.require_classes("the feature classifier")
    choose_pairs(test, pairs, seed=seed)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_demo(
    out: Path,
    *,
    data: str = "digits",
    size: DemoSize | None = None,
    seed: int = 0,
    progress: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Train, interpolate, evaluate and report, on images and on the globe; return the evaluation of the former.

    Args:
        out: New folder; replaced if an earlier demo wrote it.
        data: As `load_images` takes it.
        size: None for `DemoSize.of(data)`.
        seed: Of everything.
        progress: Show progress bars.
        say: Called with a line before each part.

    Raises:
        ValueError, DataError, FloatingPointError: Nothing is left behind then.
    """
    size = size or DemoSize.of(data)
    settings = replace(size.training, seed=seed)
    record = {"settings": {"data": data, "seed": seed, **asdict(size)}, "versions": versions()}
    choice = DataChoice(data, seed=seed)
    _check_data(choice, size.pairs, seed)
    with _threads(size.threads), new_folder(out, "demo", record) as folder:
        announce = _counted(say, len(DEMO_METHODS) + (5 if size.globe else 2))
        _images(folder, choice, replace(size, training=settings), progress=progress, say=announce)
        if size.globe:
            (folder / "globe").mkdir()
            globe_files(folder / "globe", epochs=size.globe, seed=seed, progress=progress, say=announce)
        return write_report_files(folder / "evaluation", folder)


def _images(folder: Path, choice: DataChoice, size: DemoSize, *, progress: bool, say: Callable[[str], None]) -> None:
    """The flows, their paths and the evaluation of these."""
    for base in DEMO_METHODS:
        say(f"training the flow with base {base}")
        train_step(
            choice,
            folder / "models" / base,
            base=base,
            levels=size.levels,
            steps=size.steps,
            hidden=size.hidden,
            settings=size.training,
            progress=progress,
        )
    say(f"interpolating {size.pairs} pairs of test images")
    paths = {base: folder / "interpolations" / base for base in DEMO_METHODS}
    for base, out in paths.items():
        interpolate_step(folder / "models" / base, out, pairs=size.pairs, seed=choice.seed, progress=progress)
    say("evaluating and writing the report")
    evaluate_step(list(paths.values()), folder / "evaluation", seed=choice.seed, progress=progress)


def _counted(say: Callable[[str], None], parts: int) -> Callable[[str], None]:
    """`say` with the number of each part before it."""
    numbers = itertools.count(1)
    return lambda text: say(f"[{next(numbers)}/{parts}] {text}")
