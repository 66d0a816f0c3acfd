"""Evaluate interpolations side by side: the same pairs, times and counts for all of them."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from ..data import ImageSet
from ..errors import DataError
from ..evaluation import (
    BIN_TIMES,
    EvaluatedModel,
    Evaluation,
    Extractor,
    FeatureSpace,
    Motion,
    PathProfile,
    Profile,
    Row,
    covers_bins,
    evaluate_path,
    floor_row,
    path_motion,
    path_profile,
    sample_row,
)
from ..evaluation.path_figures import nearest_distance, two_sided
from ..evaluation.results import ComparedData, EvaluationSettings, NamedExtractor, ShownPairs
from ..files import damaged, new_folder, read_json, write_json, write_text
from ..flows import BASES
from ..report.table import rows_to_csv, rows_to_markdown, table_notes
from ..training import train_classifier
from .interpolate import pair_source
from .progress import progress_bar
from .record import chosen_device, read_record, relative_to, versions
from .stored import InterpolationRecord, StoredInterpolation, read_interpolations
from .train import TrainedRun, seeded_samples

__all__ = ["classifier_extractor", "evaluate_step", "read_evaluation"]

_LEAST_PAIRS = 64
_SHOWN_PAIRS = 8
_SHOWN_SAMPLES = 64
_OF_MOTION = ("pixel_speed", "feature_speed", "nearer_end", "nearest_training", "nearest_training_features")

_Read = tuple[TrainedRun, InterpolationRecord, list[StoredInterpolation]]


def classifier_extractor(train: ImageSet, test: ImageSet, *, seed: int, folder: Path) -> Extractor:
    """The features of a small classifier trained on `train`; not comparable with Inception's."""
    with torch.enable_grad():
        classifier, accuracy = train_classifier(train, test, seed=seed, folder=folder)
    return Extractor(f"classifier trained on {train.name}", classifier, classifier.num_features, accuracy)


@torch.no_grad()
def evaluate_step(
    folders: list[Path],
    out: Path,
    *,
    seed: int = 0,
    extractor: Extractor | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Evaluation:
    """Evaluate what `interpolate_step` wrote; write evaluation.json, table.csv and table.md; return the first.

    One method's paths are in memory at a time.

    Args:
        folders: Folders of interpolations of the same pairs of the same data, by different models.
        out: New folder.
        seed: Of the classifier, the subsets, the resampled pairs and the base's draws.
        extractor: Gives the features of the distances; None trains a small classifier on the same training images,
            whose distances are not comparable with Inception's.
        device: Where images are decoded and features computed; "auto" is a GPU if there is one.
        progress: Show a bar with the time left; lines now and then where there is no terminal.

    Raises:
        DataError: The interpolations are not comparable, too few, or damaged.
    """
    place = chosen_device(device)
    read = _read_comparable(folders)
    run, record, _ = read[0]
    train, _, test = run.load_data()
    starting = _starts(run, record, test)
    settings = EvaluationSettings(tuple(relative_to(Path(folder), out) for folder in folders), seed)
    marker = {"settings": settings.to_json(), "versions": versions()}
    with new_folder(out, "evaluate", marker) as folder:
        extractor = extractor or classifier_extractor(train, test, seed=seed, folder=folder)
        space = FeatureSpace(extractor, train, seed=seed, device=place)
        comparison = _Comparison(space, train, [floor_row(space, starting)])
        with progress_bar("evaluating", sum(len(stored) for _, _, stored in read), shown=progress) as advance:
            for (run, _, stored), (base, name) in zip(read, _names([run for run, _, _ in read])):
                comparison.add(run, stored, base, name, advance)
        result = Evaluation(
            settings,
            versions(),
            data=ComparedData(test.name, test.shape, test.levels),
            extractor=NamedExtractor(extractor.name, extractor.num_features, extractor.accuracy),
            reference_images=len(train),
            nearest_training_of_real=_nearest(starting, train, place),
            pair_labels=tuple(record.pair_labels[:_SHOWN_PAIRS]),
            pairs_from=record.settings.data,
            models=tuple(comparison.models),
            profiles=tuple(comparison.profiles),
            rows=tuple(comparison.rows),
        )
        write_json(folder / "evaluation.json", result.to_json())
        write_text(folder / "table.csv", rows_to_csv(result["rows"]))
        write_text(folder / "table.md", table_notes(result) + rows_to_markdown(result["rows"]))
        np.savez(folder / "images.npz", **comparison.images)  # type: ignore[arg-type]  # numpy's stubs say bool
    return result


def _starts(run: TrainedRun, record: InterpolationRecord, test: ImageSet) -> Tensor:
    """The real images where the paths start.

    Raises:
        DataError: The pairs are of other data, or too few.
    """
    real = pair_source(run, record.settings.data, test)
    starts = torch.tensor(record.pair_index)[:, 0]
    if int(starts.max()) >= len(real):
        raise DataError(f"interpolations: {run.folder}: its pairs are of other data; interpolate again")
    if len(starts) < _LEAST_PAIRS:
        raise DataError(
            f"interpolations: distances need at least {_LEAST_PAIRS} pairs, got {len(starts)}; interpolate again with "
            "more --pairs (and --reuse if there are too few images)"
        )
    return real.images[starts]


@dataclass
class _Comparison:
    """Rows, profiles and images of one model after the other."""

    space: FeatureSpace
    train: ImageSet
    rows: list[Row]
    models: list[EvaluatedModel] = field(default_factory=list)
    profiles: list[PathProfile] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self, run: TrainedRun, stored: list[StoredInterpolation], base: str, name: str, advance: Callable[[], None]
    ) -> None:
        """Evaluate a model and its paths on the device of the features."""
        law = deepcopy(run.flow.base)  # profiles are computed on the CPU, wherever the flow moves
        run.flow.to(self.space.device)
        samples = seeded_samples(run, self.rows[0].count, self.space.seed)
        self.rows.append(sample_row(self.space, samples, base=base))
        self.images[f"samples/{name}"] = samples[:_SHOWN_SAMPLES].numpy()
        self.models.append(EvaluatedModel(**vars(run.record), base=base, name=name))
        for one in stored:
            images = self._add_path(run, law, one, base)
            self.images[f"strips/{name}/{one.method}"] = images.numpy()
            advance()
        run.flow.cpu()

    def _add_path(self, run: TrainedRun, law: TorchDistribution, stored: StoredInterpolation, base: str) -> Tensor:
        """Add the rows and the profile of one method; return the images of the first pairs."""
        one, seed = stored.load(), self.space.seed
        features = self.space.features(one.images)
        profile = path_profile(law, one.points, one.times, seed=seed)
        motion = path_motion(one.images, features, one.times, space=self.space, training=self.train.images)
        rows, draws = evaluate_path(
            run.flow,
            self.space,
            one.points,
            features,
            profile,
            motion,
            base=base,
            path=one.title,
            dim=run.description.dim,
            seed=seed,
        )
        self.rows += rows
        self.profiles.append(_path_profile(profile, motion, draws, base=base, path=one.title, method=one.method))
        return one.images[:_SHOWN_PAIRS].clone()


def _path_profile(profile: Profile, motion: Motion, draws: Tensor, *, base: str, path: str, method: str) -> PathProfile:
    def plain(values: Tensor) -> Any:
        return tuple(values.tolist()) if values.ndim == 1 else tuple(tuple(row) for row in values.tolist())

    shown = profile.realism[:_SHOWN_PAIRS]
    return PathProfile(
        base,
        path,
        method,
        statistic=profile.statistic,
        times=plain(profile.times),
        path_quantiles=plain(profile.path),
        base_quantiles=plain(profile.base),
        **{name: plain(getattr(profile, name)) for name in ("z_score", "typicality", "ks")},
        **{name: plain(getattr(motion, name)) for name in _OF_MOTION},
        shown_pairs=ShownPairs(plain(profile.values[:_SHOWN_PAIRS]), plain(shown), plain(two_sided(shown))),
        frechet_draws=plain(draws),
    )


def _nearest(images: Tensor, train: ImageSet, device: torch.device) -> float:
    """Mean distance in pixels of real images to their nearest training image: what interpolants compare with."""
    scale = train.levels - 1
    return float(nearest_distance(images.flatten(1) / scale, train.images.flatten(1), device, scale=scale).mean())


def _names(runs: list[TrainedRun]) -> list[tuple[str, str]]:
    """For each run the title of its base and a short name, with the parameter where several have the same base."""
    bases = [run.description.base for run in runs]
    names = []
    for run, base in zip(runs, bases):
        choice = BASES[base]
        parameter = choice.default if run.description.base_parameter is None else run.description.base_parameter
        if bases.count(base) == 1:
            names.append((choice.law.title, base))
        else:
            names.append((f"{choice.law.title} ({choice.symbol.format(f'{parameter:g}')})", f"{base}-{parameter:g}"))
    return names


def _read_comparable(folders: list[Path]) -> list[_Read]:
    """The interpolations in these folders, if they are of the same pairs and times of the same data."""
    if not folders:
        raise DataError("interpolations: expected at least one folder, got none")
    read = [read_interpolations(Path(folder)) for folder in folders]
    first_run, first, _ = read[0]
    names = [name for _, name in _names([run for run, _, _ in read])]
    if len(set(names)) < len(names):
        raise DataError(f"interpolations: expected models with different bases, got {', '.join(names)}")
    steps = first.settings.steps
    if not covers_bins(torch.linspace(0, 1, steps)):
        raise DataError(
            f"interpolations: expected the times {', '.join(map(str, BIN_TIMES))} among those of the paths, "
            f"got {steps} steps; interpolate again with --steps 11, or any 10 k + 1"
        )
    for run, record, _ in read[1:]:
        same = (
            run.data == first_run.data
            and run.record.fingerprints == first_run.record.fingerprints
            and record.pair_index == first.pair_index
            and (record.settings.data, record.settings.steps) == (first.settings.data, steps)
        )
        if not same:
            raise DataError(
                f"interpolations: {run.folder} and {first_run.folder} differ in data, pairs or times; "
                "interpolate all of them with the same --data, --pairs, --steps and --seed"
            )
    return read


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation.json that `evaluate_step` wrote.

    Raises:
        DataError: Not such a folder, or a damaged one.
    """
    read_record(folder, "evaluate")
    path = Path(folder) / "evaluation.json"
    content = read_json(path)
    with damaged(path, "run 'manifoldflow evaluate' again"):
        return Evaluation.from_json(content)
