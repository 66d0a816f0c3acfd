"""Train one model of points, save it with everything needed to use it again, and read it back."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...data import PointSplit
from ...data.layouts import Layout
from ...errors import DataError
from ...evaluation import Estimate
from ...evaluation.certify import log_densities, mean_estimate, split_hash
from ...files import MARKER, damaged, resumable_folder, unfinished
from ...training import TrainSettings
from ...training.checkpoint import CHECKPOINTS
from ...training.point_models import (
    POINT_MODELS,
    Fitted,
    KernelModel,
    ModelChoice,
    PointModel,
    load_point_model,
    save_point_model,
)
from ...training.point_models.interface import mean_nll
from ..record import read_record, versions
from ..train import has_checkpoint, how_to_go_on
from .choice import PointsChoice
from .records import PointsRecord, PointsResult

__all__ = ["PointsRun", "is_of_points", "load_points_run", "resume_points_training", "train_points_step"]


def is_of_points(record: dict[str, Any]) -> bool:
    """Whether a record was left by a step for points."""
    return record.get("of") == "points"


@dataclass(frozen=True)
class PointsRun:
    """A model of points with its data.

    Args:
        folder: Where it is.
        model: In eval mode.
        layout: How its points stand in files.
        data: What it was fitted to.
        record: Settings, versions and results as recorded.
    """

    folder: Path
    model: PointModel
    layout: Layout
    data: PointsChoice
    record: PointsRecord

    @property
    def name(self) -> str:
        """The folder's name, which a user chose."""
        return self.folder.resolve().name

    def load_data(self) -> PointSplit:
        """Training, validation and test points, the same as in training.

        Raises:
            DataError: The data is gone, or has changed since.
        """
        split = self.data.load()
        if split.hash != self.record.split:
            raise DataError(f"data: {self.data.source} is not what {self.folder} was trained on; train again")
        return split


def train_points_step(
    data: PointsChoice, out: Path, *, model: ModelChoice | None = None, progress: bool = True
) -> PointsRecord:
    """Fit a model to points; write it, its log and its record to `out`; return the record.

    Args:
        data: Which points.
        out: New folder.
        model: Which model; a flow if None.
        progress: Show a bar with the time left.

    Raises:
        ValueError, DataError: A setting or the data is not as expected; nothing is written then.
        FloatingPointError, KeyboardInterrupt, OSError: If there is a checkpoint, it is kept for
            `resume_points_training`.
    """
    data = data.resolved()
    return _train(data, data.load(), out, model or ModelChoice(), resume=False, progress=progress)


def resume_points_training(out: Path, *, progress: bool = True) -> PointsRecord:
    """Continue the run that was stopped before it could write `out`, with the settings it was started with.

    Raises:
        DataError: There is no such run.
    """
    folder = unfinished(out)
    remedy = f"remove {folder} and train again without --resume"
    record = read_record(folder, "train (unfinished)")
    with damaged(folder / MARKER, remedy):
        settings = record["settings"]
        data = PointsChoice.from_json(settings["data"])
        model = {**settings["model"], "training": TrainSettings(**settings["model"]["training"])}
        choice = ModelChoice(**model)
    return _train(data, data.load(), out, choice, resume=True, progress=progress)


def _train(
    data: PointsChoice, split: PointSplit, out: Path, choice: ModelChoice, *, resume: bool, progress: bool
) -> PointsRecord:
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    marker: dict[str, Any] = {
        "of": "points",
        "settings": {"data": data.to_json(), "model": asdict(choice)},
        "points": {name: len(part) for name, part in parts.items()},
        "summary": split.train.summary.to_json(),
        "layout": split.train.layout.to_json(),
        "split": split.hash,
        "versions": versions(),
    }
    with resumable_folder(out, "train", marker, resume=resume, keep=has_checkpoint) as folder:
        try:
            fitted = POINT_MODELS[choice.kind].fit(split, choice, folder=folder, resume=resume, progress=progress)
            control = fitted if isinstance(fitted.model, KernelModel) else control_of(split, data.seed)
            result = _result(fitted, split, control)
        except (FloatingPointError, KeyboardInterrupt, OSError) as error:
            raise type(error)(f"{error}{how_to_go_on(folder, error)}") from error
        marker["result"] = result.to_json()
        save_point_model(folder, fitted.model, split.train.layout)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return PointsRecord.from_json(marker)


_controls: dict[tuple[str, str, int], Fitted[KernelModel]] = {}


def control_of(split: PointSplit, seed: int) -> Fitted[KernelModel]:
    """The kernel density beside which every model stands; the last one is remembered, since three steps ask for it."""
    # A split's own hash is of training and test points; the validation points choose the bandwidth.
    key = (repr(split.train.space), split_hash(split.train.points, split.validation.points), seed)
    if key not in _controls:
        _controls.clear()
        choice = ModelChoice("kde", training=TrainSettings(seed=seed))
        _controls[key] = KernelModel.fit(split, choice, folder=Path())
    return _controls[key]


def _result(fitted: Fitted[Any], split: PointSplit, control: Fitted[Any]) -> PointsResult:
    law, dtype = fitted.model.distribution, fitted.model.dtype

    def nll(distribution: Any, kind: Any) -> Estimate:
        return mean_estimate(-log_densities(distribution, split.test.points.to(kind)))

    return PointsResult(
        test_nll=nll(law, dtype),
        validation_nll=mean_nll(law, split.validation.points.to(dtype)),
        control_nll=nll(control.model.distribution, split.train.points.dtype),
        seconds=round(fitted.seconds, 2),
        parameters=fitted.model.size,
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        steps=fitted.steps,
        stopped_by=fitted.stopped_by,
        note=fitted.note,
    )


def load_points_run(folder: Path) -> PointsRun:
    """What `train_points_step` wrote, without its data.

    Raises:
        DataError: Not such a folder, or a damaged one.
    """
    folder = Path(folder)
    record = read_record(folder, "train")
    if not is_of_points(record):
        raise DataError(f"model: {folder} is a model of images; give one that was trained with --space")
    model, layout = load_point_model(folder)
    with damaged(folder / MARKER, "train again"):
        typed = PointsRecord.from_json(record)
        data = PointsChoice.from_json(typed.settings["data"])
    return PointsRun(folder, model, layout, data, typed)
