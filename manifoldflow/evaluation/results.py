"""What an evaluation found, as it is stored in evaluation.json: rows of the table, profiles over time, models."""

from dataclasses import dataclass
from typing import Any

from ..files.typed_json import Record

__all__ = ["EvaluatedModel", "Evaluation", "PathProfile", "Row", "TrainingRecord", "TrainingResult"]

_NOT_OF_THE_RESULT = {"seed", "max_seconds", "checkpoint_every", "log", "compile", "recompute", "patience"}
"""Settings of a training in which models may differ and still be compared after the same number of steps."""


@dataclass(frozen=True)
class TrainingResult(Record):
    """How a flow's training went.

    Args:
        test_bpd, test_bpd_standard_error: Bits per dimension of the test images; the error is over the images.
        validation_bpd: Of the validation images, at the epoch whose weights were kept.
        epochs, best_epoch: Run, and kept (from 0).
        stopped_by: "epochs", "early stopping" or "time limit".
        seconds, images_per_second: Of the training loop.
        steps: Optimiser steps run; None in records of versions that did not count them.
    """

    test_bpd: float
    test_bpd_standard_error: float
    validation_bpd: float
    epochs: int
    best_epoch: int
    stopped_by: str
    seconds: float
    images_per_second: float
    steps: int | None = None


@dataclass(frozen=True)
class TrainingRecord(Record):
    """What `train_step` records: settings ("data", "flow", "training"), data, result, and the values of a pixel."""

    settings: dict[str, dict[str, Any]]
    images: dict[str, int]
    fingerprints: dict[str, str]
    versions: dict[str, str]
    result: TrainingResult
    origin: str | None = None
    levels: int | None = None
    command: str = "train"


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel(TrainingRecord):
    """A model of an evaluation: what its training recorded, the title of its base, and a short name."""

    base: str
    name: str


@dataclass(frozen=True)
class Row(Record):
    """One row of the table: a path within a time bin, or over all of them; None where a figure does not apply.

    Args:
        base, path: What was interpolated how.
        time: Centre of the time bin, "all", or "" for the floor and samples.
        count: Images in the row.
        bpd: Mean bits per dimension of the interpolants under their own flow.
        frechet, kernel, kernel_sd: As `SetDistance`.
        z_score: Mean z-score of the base log-density.
        typicality: Mean two-sided typicality under the base, 1/2 for draws from it.
        ks: Kolmogorov-Smirnov distance of the log-density's law from that under the base; over all times, the mean of
            the bins.
        pixel_length, feature_length: Mean length of the whole path, over all times only.
        frechet_sd: Standard deviation of the Frechet distance over resampled pairs (bootstrap), over all times only.
    """

    base: str
    path: str
    time: str
    count: int
    bpd: float | None
    frechet: float
    kernel: float
    kernel_sd: float
    z_score: float | None = None
    typicality: float | None = None
    ks: float | None = None
    pixel_length: float | None = None
    feature_length: float | None = None
    frechet_sd: float | None = None


@dataclass(frozen=True)
class ShownPairs(Record):
    """Figures of the first pairs at each time, (pairs, m)."""

    statistic: tuple[tuple[float, ...], ...]
    realism: tuple[tuple[float, ...], ...]
    typicality: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PathProfile(Record):
    """One path over time, see `Profile` and `Motion`.

    Args:
        base, path, method: Which.
        statistic: What `path_quantiles` (3, m) and `base_quantiles` (3,) are quantiles of: 5, 50 and 95 %.
        times: (m,).
        z_score, typicality, ks, pixel_speed, feature_speed: As in `Profile` and `Motion`.
        nearer_end, nearest_training, nearest_training_features: As in `Motion`.
        shown_pairs: The first pairs one by one.
        frechet_draws: The Frechet distance over all times of resampled pairs, the same pairs for every path.
    """

    base: str
    path: str
    method: str
    statistic: str
    times: tuple[float, ...]
    path_quantiles: tuple[tuple[float, ...], ...]
    base_quantiles: tuple[float, float, float]
    z_score: tuple[float, ...]
    typicality: tuple[float, ...]
    ks: tuple[float, ...]
    pixel_speed: tuple[float, ...]
    feature_speed: tuple[float, ...]
    nearer_end: tuple[float, ...]
    nearest_training: tuple[float, ...]
    nearest_training_features: tuple[float, ...]
    shown_pairs: ShownPairs
    frechet_draws: tuple[float, ...] = ()


@dataclass(frozen=True)
class ComparedData(Record):
    """The data set of an evaluation."""

    name: str
    shape: tuple[int, int, int]
    levels: int


@dataclass(frozen=True)
class NamedExtractor(Record):
    """Whose features distances were measured in, how many there are, and a classifier's accuracy."""

    name: str
    features: int
    accuracy: float | None


@dataclass(frozen=True)
class EvaluationSettings(Record):
    """Folders of interpolations as seen from the evaluation, and the seed."""

    interpolations: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Evaluation(Record):
    """Interpolations of the same pairs side by side.

    Args:
        settings, versions: Of the evaluation.
        data, extractor: What was compared in which features.
        reference_images: How many training images distances are measured to.
        nearest_training_of_real: Mean distance in pixels of the real starts to their nearest training image.
        pair_labels: Classes of the pairs that are shown.
        pairs_from: Other data than the test images, if the pairs were taken from it.
        models, profiles, rows: The results; the first row is the floor, real images.
    """

    settings: EvaluationSettings
    versions: dict[str, str]
    data: ComparedData
    extractor: NamedExtractor
    reference_images: int
    nearest_training_of_real: float
    pair_labels: tuple[tuple[int | str, int | str], ...]
    pairs_from: str | None
    models: tuple[EvaluatedModel, ...]
    profiles: tuple[PathProfile, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.models or not self.profiles:
            raise ValueError("models, profiles: expected at least one of each")
        if not self.rows or self.rows[0].base != "real images":
            raise ValueError("rows: expected the row of the real images first")
        known = {model.base for model in self.models}
        for profile in self.profiles:
            if profile.base not in known:
                raise ValueError(f"profiles: {profile.base!r:.60} is the base of no model")
            for time in ("all", "0.5"):
                self.row(profile.base, profile.path, time)

    @property
    def floor(self) -> Row:
        """The row of the real images."""
        return self.rows[0]

    def row(self, base: str, path: str, time: str) -> Row:
        """The row of a path at a time.

        Raises:
            ValueError: There is none.
        """
        for row in self.rows:
            if (row.base, row.path, row.time) == (base, path, time):
                return row
        raise ValueError(f"rows: expected a row of {base!r:.60}, {path!r:.60} at time {time!r}, found none")

    def rows_at(self, time: str) -> list[Row]:
        """The rows of all paths at a time."""
        return [row for row in self.rows if row.time == time]

    def training_differences(self) -> list[str]:
        """In what the models' trainings differ other than their base and seed; such models are not ranked."""
        first, *others = self.models
        names = set()
        for other in others:
            names |= _differing(first.settings["training"], other.settings["training"]) - _NOT_OF_THE_RESULT
            names |= _differing(first.settings["flow"], other.settings["flow"]) - {"base", "base_parameter"}
            if _steps(first.result) != _steps(other.result):
                names.add("steps run" if first.result.steps is not None else "epochs run")
        return sorted(names)


def _steps(result: TrainingResult) -> int:
    return result.epochs if result.steps is None else result.steps


def _differing(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    return {key for key in {*a, *b} if a.get(key) != b.get(key)}
