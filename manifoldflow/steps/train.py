"""Train one flow on a data set, save it with everything needed to use it again, and draw images from it."""

import shutil
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import DATA_SETS, ImageSet, load_images, quantise, split, split_published
from ..errors import DataError
from ..evaluation import TrainingRecord, TrainingResult
from ..files import MARKER, damaged, new_folder, resumable_folder, unfinished
from ..flows import FlowDescription, ManifoldFlow, build_flow
from ..report.strips import image_grid
from ..training import FlowTraining, Placement, SavedFlow, TrainSettings, load_flow, save_flow, train_flow
from ..training.checkpoint import CHECKPOINTS
from ..training.likelihood import held_out_bits_per_dim
from ..training.placement import is_first_process
from .record import read_record, versions

__all__ = ["DataChoice", "TrainedRun", "load_run", "resume_training", "sample_step", "seeded_samples", "train_step"]

_BPD_DRAWS = 5
_IMAGES_A_CHUNK = 500


@dataclass(frozen=True)
class DataChoice:
    """Which data, and how it is split.

    Args:
        source: As `manifoldflow.data.load_images` takes it.
        size: Side in pixels for a folder of images.
        validation, test: Fractions held out; the rest is for training.
        seed: Of the split.
        bits: Of each pixel, 8 for the images as they are.
        published_test: Test on the part that was published for it instead of a fraction of all images.
    """

    source: str
    size: int = 32
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0
    bits: int = 8
    published_test: bool = False

    def resolved(self) -> "DataChoice":
        """The same with an absolute path, to be found again from anywhere; what does not exist stays as it is."""
        if self.source in DATA_SETS or not Path(self.source).exists():
            return self
        return DataChoice(**{**asdict(self), "source": str(Path(self.source).resolve())})

    def load(self) -> tuple[ImageSet, ImageSet, ImageSet]:
        """Training, validation and test images."""
        if not isinstance(self.source, str):
            raise DataError(f"data: expected a name or a path, got {self.source!r}")
        if not (0 < self.validation < 1 and 0 < self.test < 1 and self.validation + self.test < 1):
            raise DataError(
                "validation, test: expected positive fractions that leave something to train on, "
                f"got {self.validation} and {self.test}"
            )
        data = load_images(self.source, size=self.size, bits=self.bits)
        if self.published_test:
            parts = split_published(data, self.validation, seed=self.seed)
        else:
            parts = split(data, [1 - self.validation - self.test, self.validation, self.test], seed=self.seed)
        train, validation, test = parts
        if len(test) < 2:
            raise DataError(f"{data.name}: expected at least 2 test images, got {len(test)} of {len(data)} images")
        return train, validation, test


@dataclass(frozen=True)
class TrainedRun:
    """A trained flow with its data.

    Args:
        folder: Where it is.
        flow: In eval mode.
        description: Its architecture and base.
        data: What it was trained on.
        levels: Values a pixel can take.
        record: Settings, versions and results as recorded.
    """

    folder: Path
    flow: ManifoldFlow
    description: FlowDescription
    data: DataChoice
    levels: int
    record: TrainingRecord

    @property
    def device(self) -> torch.device:
        """Where the flow is."""
        return next(self.flow.parameters()).device

    def load_data(self) -> tuple[ImageSet, ImageSet, ImageSet]:
        """Training, validation and test images, the same as in training.

        Raises:
            DataError: The data is gone, or has changed since.
        """
        train, validation, test = self.data.load()
        if _fingerprints(train, test) != self.record.fingerprints:
            raise DataError(f"data: {self.data.source} is not what {self.folder} was trained on; train again")
        return train, validation, test


def train_step(
    data: DataChoice,
    out: Path,
    *,
    base: str,
    base_parameter: float | None = None,
    levels: int = 2,
    steps: int = 8,
    hidden: int = 64,
    preprocess: str = "centred",
    settings: TrainSettings,
    progress: bool = True,
    placement: Placement | None = None,
) -> TrainingRecord:
    """Train a Glow with the given base; write the model, its log and its record to `out`; return the record.

    Over several processes (`placement`) the first one writes, and all return the record.

    Raises:
        ValueError, DataError: A setting or the data is not as expected; nothing is written then.
        FloatingPointError, KeyboardInterrupt, OSError: If there is a checkpoint, it is kept for `resume_training`.
    """
    data = data.resolved()
    parts = data.load()
    description = FlowDescription(
        parts[0].shape, base, base_parameter, levels=levels, steps=steps, hidden=hidden, preprocess=preprocess
    )
    return _train(data, parts, out, description, settings, resume=False, progress=progress, placement=placement)


def resume_training(out: Path, *, progress: bool = True, placement: Placement | None = None) -> TrainingRecord:
    """Continue the run that was stopped before it could write `out`, with the settings it was started with.

    It may continue on other devices, more or fewer.

    Raises:
        DataError: There is no such run.
    """
    folder = unfinished(out)
    if not folder.is_dir():
        raise DataError(f"--resume: there is no unfinished run of {out}; start it without --resume")
    remedy = f"remove {folder} and train again without --resume"
    try:
        record = read_record(folder, "train (unfinished)")
    except DataError as error:
        raise DataError(f"--resume: the unfinished run of {out} is damaged ({error}); {remedy}") from error
    with damaged(folder / MARKER, remedy):
        settings = record["settings"]
        data = DataChoice(**settings["data"])
        description = FlowDescription.from_json(settings["flow"])
        training = TrainSettings(**settings["training"])
    return _train(data, data.load(), out, description, training, resume=True, progress=progress, placement=placement)


def _fingerprints(train: ImageSet, test: ImageSet) -> dict[str, str]:
    return {"train": train.fingerprint(), "test": test.fingerprint()}


def has_checkpoint(folder: Path) -> bool:
    """Whether a run in the folder can be resumed."""
    return (folder / CHECKPOINTS / "last.ckpt").is_file()


def how_to_go_on(folder: Path, error: BaseException) -> str:
    """The end of an error's message: what is kept, and how to continue."""
    if not has_checkpoint(folder):
        return ""
    if isinstance(error, FloatingPointError):  # with the same settings the same would happen
        return f", in a new run; the last good checkpoint is kept: {folder / CHECKPOINTS / 'last.ckpt'}"
    return f"{'' if str(error) else 'interrupted'}; continue from the last checkpoint with --resume"


def _train(
    data: DataChoice,
    parts: tuple[ImageSet, ImageSet, ImageSet],
    out: Path,
    description: FlowDescription,
    settings: TrainSettings,
    *,
    resume: bool,
    progress: bool,
    placement: Placement | None,
) -> TrainingRecord:
    train, validation, test = parts
    with torch.random.fork_rng(devices=[]):
        build_flow(description)  # raises, before anything is written, if the images do not suit
    marker: dict[str, Any] = {
        "settings": {"data": asdict(data), "flow": description.to_json(), "training": settings.to_json()},
        "images": {"train": len(train), "validation": len(validation), "test": len(test)},
        "origin": train.note,
        "levels": train.levels,
        "fingerprints": _fingerprints(train, test),
        "versions": versions(),
    }
    first = is_first_process(placement or Placement())
    kept = resumable_folder(out, "train", marker, resume=resume, keep=has_checkpoint)
    with kept if first else nullcontext(unfinished(out)) as folder:
        try:
            trained = train_flow(
                description,
                train,
                validation,
                settings,
                folder=folder,
                resume=resume,
                progress=progress,
                title=description.base,
                placement=placement,
            )
            result = _result(trained, test, settings.seed)
        except (FloatingPointError, KeyboardInterrupt, OSError) as error:
            raise type(error)(f"{error}{how_to_go_on(folder, error)}") from error
        marker["result"] = result.to_json()
        if first:
            save_flow(folder, SavedFlow(trained.flow, description, train.levels, marker["result"]))
            shutil.rmtree(folder / CHECKPOINTS)  # the best weights now stand in flow.safetensors
    return TrainingRecord(**{**marker, "result": result})


def _result(trained: FlowTraining, test: ImageSet, seed: int) -> TrainingResult:
    """The training's figures, with the likelihood of the test images."""
    bpd = held_out_bits_per_dim(trained.flow.to(trained.device), test, seed=seed, draws=_BPD_DRAWS)
    trained.flow.cpu()
    return TrainingResult(
        test_bpd=float(bpd.mean()),
        test_bpd_standard_error=float(bpd.std() / len(bpd) ** 0.5),
        validation_bpd=trained.validation_bpd,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        stopped_by=trained.stopped_by,
        seconds=round(trained.seconds, 2),
        images_per_second=round(trained.images_per_second, 1),
        steps=trained.steps,
    )


def seeded_samples(run: TrainedRun, count: int, seed: int, temperature: float = 1.0) -> Tensor:
    """Draws of a model as images (count, c, h, w), uint8, on the CPU; the caller's generator is left alone."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        parts = [min(_IMAGES_A_CHUNK, count - first) for first in range(0, count, _IMAGES_A_CHUNK)]
        drawn = (run.flow.sample((part,), temperature=temperature) for part in parts)
        return torch.cat([quantise(x, run.levels).cpu() for x in drawn])


def load_run(folder: Path) -> TrainedRun:
    """What `train_step` wrote, without its data; the flow in torch's default dtype, whatever it was trained in.

    Raises:
        DataError: Not such a folder, or a damaged one.
    """
    folder = Path(folder)
    record = read_record(folder, "train")
    saved = load_flow(folder)
    with damaged(folder / MARKER, "train again"):
        typed = TrainingRecord.from_json(record)
        data = DataChoice(**typed.settings["data"])
    flow = saved.flow.to(torch.get_default_dtype())
    return TrainedRun(folder, flow, saved.description, data, saved.levels, typed)


def sample_step(model: Path, out: Path, *, count: int = 64, seed: int = 0, temperature: float = 1.0) -> dict[str, Any]:
    """Write `count` samples as samples.npz (uint8, key `images`) and samples.png; return the record.

    Args:
        model: A folder that `train_step` wrote.
        out: New folder.
        count: How many.
        seed: Of the draws.
        temperature: As `ManifoldFlow.sample` takes it.

    Raises:
        DataError: `model` is not a trained model, or `count` is not positive.
        ValueError: The base does not have that temperature.
    """
    if count < 1:
        raise DataError(f"count: expected a positive number, got {count}")
    run = load_run(model)
    record = {
        "settings": {"model": str(Path(model).resolve()), "count": count, "seed": seed, "temperature": temperature},
        "versions": versions(),
    }
    with new_folder(out, "sample", record) as folder:
        images = seeded_samples(run, count, seed, temperature)
        np.savez(folder / "samples.npz", images=images.numpy())
        image_grid(images, run.levels).save(folder / "samples.png")
    return {"command": "sample", **record}
