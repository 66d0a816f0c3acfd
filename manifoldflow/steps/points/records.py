"""What the steps for points record."""

from dataclasses import dataclass
from typing import Any

from ...data import ReadingSummary
from ...evaluation import Certificate, Estimate, TwoSampleTest
from ...files.typed_json import Record

__all__ = [
    "JudgedModel",
    "PointsEvaluation",
    "PointsRecord",
    "PointsResult",
    "RouteSettings",
    "RoutesRecord",
]


@dataclass(frozen=True)
class PointsResult(Record):
    """How the fit of a model went.

    Args:
        test_nll: Mean of minus the log density of the test points, in nats, and its standard error.
        validation_nll: Of the validation points.
        control_nll: The kernel density's on the same test points.
        seconds: Of the fit.
        parameters: Numbers that were fitted.
        epochs, best_epoch, steps, stopped_by: Of a training.
        note: What a user should know, or "".
    """

    test_nll: Estimate
    validation_nll: float
    control_nll: Estimate
    seconds: float
    parameters: int
    epochs: int
    best_epoch: int
    steps: int
    stopped_by: str
    note: str = ""


@dataclass(frozen=True)
class PointsRecord(Record):
    """What `train_points_step` records.

    Args:
        settings: "data", "model".
        points: Numbers of training, validation and test points.
        summary: What became of the file's rows.
        layout: How points stand in files.
        split: Hash of training and test points.
        versions: Of the packages.
        result: How the fit went.
        of: "points", which tells such models from those of images.
    """

    settings: dict[str, dict[str, Any]]
    points: dict[str, int]
    summary: ReadingSummary
    layout: dict[str, Any]
    split: str
    versions: dict[str, str]
    result: PointsResult
    of: str = "points"
    command: str = "train"

    @property
    def model(self) -> str:
        """The kind of model."""
        return str(self.settings["model"]["kind"])


@dataclass(frozen=True)
class RouteSettings(Record):
    """What `interpolate_points_step` was told.

    Args:
        model: The model's folder as seen from the output.
        methods, pairs, steps, seed: As the step takes them.
        start, end: Places that were given, in the file's units; none for held-out points.
    """

    model: str
    methods: tuple[str, ...]
    pairs: int
    steps: int
    seed: int
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoutesRecord(Record):
    """What `interpolate_points_step` records.

    Args:
        settings: What it was told.
        model_sha256: Of the model's weights.
        layout: How points stand in files.
        pair_index: Test points of each pair, or () where places were given.
        lengths, typicality: Of each method: mean length in the space's metric, and mean typicality of its points.
        seconds: Of each method.
        versions: Of the packages.
        of, command: As in `PointsRecord`.
    """

    settings: RouteSettings
    model_sha256: str
    layout: dict[str, Any]
    pair_index: tuple[tuple[int, int], ...]
    lengths: dict[str, float]
    typicality: dict[str, float]
    seconds: dict[str, float]
    versions: dict[str, str]
    of: str = "points"
    command: str = "interpolate"


@dataclass(frozen=True)
class JudgedModel(Record):
    """A model of an evaluation.

    Args:
        name: A short one.
        folder: As seen from the evaluation; None for the control, which is fitted there.
        certificate: Its held-out likelihood and what that rests on.
        two_sample: Its draws against the held-out points.
        calibration: Level of each region of highest density, and the share of held-out points inside.
        training_seconds: Of the fit.
        is_control: Whether it is the kernel density beside which the others stand.
    """

    name: str
    folder: str | None
    certificate: Certificate
    two_sample: TwoSampleTest
    calibration: tuple[tuple[float, Estimate], ...]
    training_seconds: float
    is_control: bool = False


@dataclass(frozen=True)
class PointsEvaluation(Record):
    """Models of the same points side by side.

    Args:
        settings: Folders of models and paths as seen from the evaluation, and the seed.
        data: Of the first model's settings.
        summary: What became of the file's rows.
        layout: How points stand in files.
        split: Hash of training and test points.
        models: The control last.
        versions: Of the packages.
        of: As in `PointsRecord`.
    """

    settings: dict[str, Any]
    data: dict[str, Any]
    summary: ReadingSummary
    layout: dict[str, Any]
    split: str
    models: tuple[JudgedModel, ...]
    versions: dict[str, str]
    of: str = "points"
