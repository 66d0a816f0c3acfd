"""Evaluate interpolations side by side: the same pairs, times and counts for all of them."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..evaluation import (
    BIN_TIMES,
    FeatureSpace,
    Profile,
    covers_bins,
    evaluate_path,
    floor_row,
    path_profile,
    sample_row,
)
from ..files import new_folder, write_json, write_text
from ..flows import BASES
from ..training import train_classifier
from .interpolate import Interpolation, pair_source, read_interpolations
from .record import relative_to, versions
from .train import TrainedRun, seeded_samples

__all__ = ["evaluate_step", "rows_to_csv"]

_SHOWN_PAIRS = 8
_SHOWN_SAMPLES = 64


def rows_to_csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV with a header line; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _profile_json(profile: Profile) -> dict[str, Any]:
    return {
        "statistic": profile.statistic,
        "times": profile.times.tolist(),
        "path_quantiles": profile.path.tolist(),
        "base_quantiles": profile.base.tolist(),
        "z_score": profile.z_score.tolist(),
        "typicality": profile.typicality.tolist(),
    }


def _check_comparable(read: list[tuple[TrainedRun, dict[str, Any], list[Interpolation]]]) -> None:
    first_run, first, interpolations = read[0]
    bases = [run.description.base for run, _, _ in read]
    if len(set(bases)) < len(bases):
        raise DataError(f"interpolations: expected models with different bases, got {', '.join(bases)}")
    if not covers_bins(interpolations[0].times):
        raise DataError(
            f"interpolations: expected the times {', '.join(map(str, BIN_TIMES))} among those of the paths, "
            f"got {first['settings']['steps']} steps; interpolate again with --steps 11, or any 10 k + 1"
        )
    for run, record, _ in read[1:]:
        same = (
            run.data == first_run.data
            and record["settings"]["data"] == first["settings"]["data"]
            and record["pair_index"] == first["pair_index"]
            and run.record["fingerprints"] == first_run.record["fingerprints"]
            and record["settings"]["steps"] == first["settings"]["steps"]
        )
        if not same:
            raise DataError(
                f"interpolations: {run.folder} and {first_run.folder} differ in data, pairs or times; "
                "interpolate all of them with the same --data, --pairs, --steps and --seed"
            )


@torch.no_grad()
def evaluate_step(folders: list[Path], out: Path, *, seed: int = 0) -> dict[str, Any]:
    """Evaluate what `interpolate_step` wrote; write table.csv and evaluation.json; return the latter.

    A small classifier, trained here on the same training images, gives the features of the
    distances; they are not comparable with Inception's.

    Args:
        folders: Folders of interpolations of the same pairs of the same data, by different models.
        out: New folder.
        seed: Of the classifier, the subsets and the base's draws.

    Raises:
        DataError: The interpolations are not comparable, too few, or damaged.
    """
    if not folders:
        raise DataError("interpolations: expected at least one folder, got none")
    read = [read_interpolations(Path(folder)) for folder in folders]
    _check_comparable(read)
    run, record, _ = read[0]
    train, _, test = run.load_data()
    real = pair_source(run, record["settings"]["data"])
    starts = torch.tensor(record["pair_index"])[:, 0]
    count = len(starts)
    if count and int(starts.max()) >= len(real):
        raise DataError(f"interpolations: {read[0][0].folder}: its pairs are of other data; interpolate again")
    if count < 64:
        raise DataError(
            f"interpolations: distances need at least 64 pairs, got {count}; interpolate again with more --pairs"
        )
    pair_labels, pairs_from = record["pair_labels"][:_SHOWN_PAIRS], record["settings"]["data"]
    record = {
        "settings": {"interpolations": [relative_to(Path(f), out) for f in folders], "seed": seed},
        "versions": versions(),
    }
    with new_folder(out, "evaluate", record) as folder:
        with torch.enable_grad():
            classifier, accuracy = train_classifier(train, test, seed=seed, folder=folder)
        space = FeatureSpace(classifier, train.images.float() / (train.levels - 1), seed=seed)
        rows = [floor_row(space, real.select(starts))]
        profiles: list[dict[str, Any]] = []
        models: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        for run, _, interpolations in read:
            base = BASES[run.description.base].title
            samples = seeded_samples(run, count, seed)
            rows.append(sample_row(space, samples, base=base, levels=run.levels))
            arrays[f"samples/{run.description.base}"] = samples[:_SHOWN_SAMPLES].numpy()
            models.append({"base": base, "name": run.description.base, **run.record})
            for one in interpolations:
                profile = path_profile(run.flow.base, one.points, one.times, seed=seed)
                rows += evaluate_path(
                    run.flow,
                    space,
                    one.points,
                    one.images,
                    profile,
                    base=base,
                    path=one.title,
                    levels=run.levels,
                    seed=seed,
                )
                profiles.append({"base": base, "path": one.title, **_profile_json(profile)})
                arrays[f"strips/{run.description.base}/{one.method}"] = _shown(one.images)
        result = {
            **record,
            "data": {"name": test.name, "shape": list(test.shape), "levels": test.levels},
            "classifier": {"features": space.reference.shape[1], "accuracy": accuracy},
            "reference_images": len(train),
            "pair_labels": pair_labels,
            "pairs_from": pairs_from,
            "models": models,
            "profiles": profiles,
            "rows": [row.to_json() for row in rows],
        }
        write_json(folder / "evaluation.json", result)
        write_text(folder / "table.csv", rows_to_csv(result["rows"]))
        np.savez(folder / "images.npz", **arrays)  # type: ignore[arg-type]  # numpy types the keywords as bool
    return result


def _shown(images: Tensor) -> np.ndarray:
    return images[:_SHOWN_PAIRS].numpy()
