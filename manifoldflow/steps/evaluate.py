"""Evaluate interpolations side by side: the same pairs, times and counts for all of them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from tqdm import tqdm

from ..data import ImageSet
from ..errors import DataError
from ..evaluation import (
    BIN_TIMES,
    Extractor,
    FeatureSpace,
    Motion,
    Profile,
    Row,
    covers_bins,
    evaluate_path,
    floor_row,
    path_motion,
    path_profile,
    sample_row,
)
from ..evaluation.path_figures import nearest_distance
from ..files import new_folder, read_json, write_json, write_text
from ..flows import BASES
from ..report.table import rows_to_csv, rows_to_markdown
from ..training import train_classifier
from .interpolate import pair_source
from .record import chosen_device, read_record, relative_to, versions
from .stored import StoredInterpolation, read_interpolations
from .train import TrainedRun, seeded_samples

__all__ = ["classifier_extractor", "evaluate_step", "read_evaluation"]

_SHOWN_PAIRS = 8
_SHOWN_SAMPLES = 64

_Read = tuple[TrainedRun, dict[str, Any], list[StoredInterpolation]]


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
) -> dict[str, Any]:
    """Evaluate what `interpolate_step` wrote; write evaluation.json, table.csv and table.md; return the first.

    One method's paths are in memory at a time.

    Args:
        folders: Folders of interpolations of the same pairs of the same data, by different models.
        out: New folder.
        seed: Of the classifier, the subsets and the base's draws.
        extractor: Gives the features of the distances; None trains a small classifier on the same training images,
            whose distances are not comparable with Inception's.
        device: Where images are decoded and features computed; "auto" is a GPU if there is one.
        progress: Show a bar with the time left.

    Raises:
        DataError: The interpolations are not comparable, too few, or damaged.
    """
    if not folders:
        raise DataError("interpolations: expected at least one folder, got none")
    place = chosen_device(device)
    read = [read_interpolations(Path(folder)) for folder in folders]
    _check_comparable(read)
    run, record, _ = read[0]
    train, _, test = run.load_data()
    real = pair_source(run, record["settings"]["data"])
    starts = torch.tensor(record["pair_index"])[:, 0]
    count = len(starts)
    if count and int(starts.max()) >= len(real):
        raise DataError(f"interpolations: {run.folder}: its pairs are of other data; interpolate again")
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
        extractor = extractor or classifier_extractor(train, test, seed=seed, folder=folder)
        space = FeatureSpace(extractor, train, seed=seed, device=place)
        rows = [floor_row(space, real.images[starts])]
        profiles: list[dict[str, Any]] = []
        models: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        bar = tqdm(
            total=sum(len(stored) for _, _, stored in read),
            desc="evaluating",
            disable=None if progress else True,
            leave=False,
        )
        for (run, _, stored), (base, name) in zip(read, _names([run for run, _, _ in read])):
            law = deepcopy(run.flow.base)  # profiles are computed on the CPU, wherever the flow moves
            run.flow.to(place)
            samples = seeded_samples(run, count, seed)
            rows.append(sample_row(space, samples, base=base))
            arrays[f"samples/{name}"] = samples[:_SHOWN_SAMPLES].numpy()
            models.append({"base": base, "name": name, **run.record})
            for one in stored:
                of_path, profile, images = _evaluate_one(run, law, space, train, one, base=base, seed=seed)
                rows += of_path
                profiles.append({"base": base, "path": one.title, "method": one.method, **profile})
                arrays[f"strips/{name}/{one.method}"] = images.numpy()
                bar.update()
            run.flow.cpu()
        bar.close()
        result = {
            **record,
            "data": {"name": test.name, "shape": list(test.shape), "levels": test.levels},
            "extractor": {
                "name": extractor.name,
                "features": extractor.num_features,
                "accuracy": extractor.accuracy,
            },
            "reference_images": len(train),
            "nearest_training_of_real": _nearest(real.images[starts], train, place),
            "pair_labels": pair_labels,
            "pairs_from": pairs_from,
            "models": models,
            "profiles": profiles,
            "rows": [row.to_json() for row in rows],
        }
        write_json(folder / "evaluation.json", result)
        write_text(folder / "table.csv", rows_to_csv(result["rows"]))
        write_text(folder / "table.md", _table_text(extractor) + rows_to_markdown(result["rows"]))
        np.savez(folder / "images.npz", **arrays)  # type: ignore[arg-type]  # numpy types the keywords as bool
    return result


def _evaluate_one(
    run: TrainedRun,
    law: TorchDistribution,
    space: FeatureSpace,
    train: ImageSet,
    stored: StoredInterpolation,
    *,
    base: str,
    seed: int,
) -> tuple[list[Row], dict[str, Any], Tensor]:
    """The rows of one method, its profiles over time, and the images of the first pairs."""
    one = stored.load()
    features = space.features(one.images)
    profile = path_profile(law, one.points, one.times, seed=seed)
    motion = path_motion(one.images, features, one.times, space=space, training=train.images)
    rows = evaluate_path(
        run.flow,
        space,
        one.points,
        features,
        profile,
        motion,
        base=base,
        path=one.title,
        dim=run.description.dim,
        seed=seed,
    )
    return rows, _profile_json(profile, motion), one.images[:_SHOWN_PAIRS].clone()


def _profile_json(profile: Profile, motion: Motion) -> dict[str, Any]:
    shown = slice(_SHOWN_PAIRS)
    return {
        "statistic": profile.statistic,
        "times": profile.times.tolist(),
        "path_quantiles": profile.path.tolist(),
        "base_quantiles": profile.base.tolist(),
        **{key: getattr(profile, key).tolist() for key in ("z_score", "typicality", "ks")},
        **{
            key: getattr(motion, key).tolist()
            for key in (
                "pixel_speed",
                "feature_speed",
                "nearer_end",
                "nearest_training",
                "nearest_training_features",
            )
        },
        "shown_pairs": {
            "statistic": profile.values[shown].tolist(),
            "realism": profile.realism[shown].tolist(),
            "typicality": (2 * torch.minimum(profile.realism, 1 - profile.realism))[shown].tolist(),
        },
    }


def _table_text(extractor: Extractor) -> str:
    return (
        f"Distances in {extractor.num_features} features of the {extractor.name}. kernel_sd is over random subsets "
        "of the images, not over training runs.\n\n"
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
            names.append((choice.title, base))
        else:
            names.append((f"{choice.title} ({choice.symbol.format(f'{parameter:g}')})", f"{base}-{parameter:g}"))
    return names


def _check_comparable(read: list[_Read]) -> None:
    first_run, first, _ = read[0]
    names = [name for _, name in _names([run for run, _, _ in read])]
    if len(set(names)) < len(names):
        raise DataError(f"interpolations: expected models with different bases, got {', '.join(names)}")
    if not covers_bins(torch.linspace(0, 1, first["settings"]["steps"])):
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


def read_evaluation(folder: Path) -> dict[str, Any]:
    """The evaluation.json that `evaluate_step` wrote.

    Raises:
        DataError: Not such a folder, or a damaged one.
    """
    read_record(folder, "evaluate")
    result: dict[str, Any] = read_json(Path(folder) / "evaluation.json")
    return result
