"""The experiment of "Principled Interpolation in Normalizing Flows": priors x paths x seeds, resumable."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...evaluation import Extractor
from ...files import growing_folder, is_sound, locks_out, read_npz, unfinished, write_json, write_text
from ...flows import FlowDescription
from ...report.table import rows_to_csv
from ...steps.evaluate import classifier_extractor, evaluate_step, read_evaluation
from ...steps.interpolate import interpolate_step
from ...steps.record import chosen_device, read_record, versions
from ...steps.stored import read_interpolations
from ...steps.train import DataChoice, load_run, resume_training, train_step
from ...training import Placement, TrainSettings
from ...training.checkpoint import BEST, CHECKPOINTS, LAST, read_checkpoint
from .figures import write_experiment_figures
from .tables import experiment_tables, tables_to_markdown

__all__ = ["PRIORS", "ExperimentSettings", "run_experiment"]

PRIORS: dict[str, tuple[str, float | None]] = {
    "gaussian": ("gaussian", None),
    "vmf-1": ("vmf", 1.0),
    "vmf-1.5": ("vmf", 1.5),
    "vmf-2": ("vmf", 2.0),
    "dirichlet": ("dirichlet", None),
}
"""The published priors by name, as base and its parameter: von Mises-Fisher with kappa = 1 d, 1.5 d, 2 d."""


@dataclass(frozen=True)
class ExperimentSettings:
    """What is trained and compared.

    Args:
        data: The data and its one split, the same for all seeds.
        priors: Names in `PRIORS`.
        seeds: Training runs of each prior, with the seeds 0, 1, ...
        levels, steps, hidden, preprocess: Of Glow, as `FlowDescription`.
        training: Of each flow; the seed in it is not used.
        pairs: Pairs of test images.
        times: Times a path, 10 k + 1.
    """

    data: DataChoice
    priors: tuple[str, ...] = tuple(PRIORS)
    seeds: int = 3
    levels: int = 2
    steps: int = 8
    hidden: int = 64
    preprocess: str = "centred"
    training: TrainSettings = TrainSettings(checkpoint_every=500)  # noqa: RUF009  # it is frozen
    pairs: int = 500
    times: int = 11

    def __post_init__(self) -> None:
        unknown = [name for name in self.priors if name not in PRIORS]
        if unknown or not self.priors or len(set(self.priors)) < len(self.priors):
            raise ValueError(f"priors: expected different ones of {', '.join(PRIORS)}, got {', '.join(self.priors)}")
        if self.seeds < 1:
            raise ValueError(f"seeds: expected at least 1, got {self.seeds}")

    def glow(self, prior: str) -> dict[str, Any]:
        """The architecture and base of one prior, as `FlowDescription` and `train_step` take them."""
        base, parameter = PRIORS[prior]
        names = ("levels", "steps", "hidden", "preprocess")
        return {"base": base, "base_parameter": parameter, **{name: getattr(self, name) for name in names}}

    def fixed(self) -> dict[str, Any]:
        """What may not change once an experiment has begun; priors and seeds may be added."""
        fields = {**asdict(self), "training": {**self.training.to_json(), "seed": None}}
        return {key: value for key, value in fields.items() if key not in ("priors", "seeds")}


@locks_out
def run_experiment(
    out: Path,
    settings: ExperimentSettings,
    *,
    extractor: Extractor | None = None,
    progress: bool = True,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train, interpolate and evaluate what is not yet there; write the tables and figures; return the former.

    Interrupted or killed at any point, the same call continues. More seeds or priors can be
    added later; other settings are refused.

    Args:
        out: Folder that grows: models/, interpolations/, evaluations/, then results.json, tables.md, tables.csv, *.png.
        settings: The grid.
        extractor: Gives the features of the distances; None for a small classifier trained on the same training
            images (seed 0), the same for all.
        progress: Show progress bars.
        device: "auto" (a GPU if there is one), "cpu", "cuda"; this is no setting and may differ from run to run.
        say: Called with a line before each part.

    Raises:
        ValueError, DataError: A setting or the data is not as expected, or `out` holds something else.
    """
    settings = replace(settings, data=settings.data.resolved())
    placement = Placement("gpu" if chosen_device(device).type == "cuda" else "cpu")
    train, _, test = settings.data.load()
    started = time.perf_counter()
    fixed = {**settings.fixed(), "extractor": extractor.name if extractor else "classifier"}
    out = growing_folder(out, "experiment pinf", fixed)
    runs = list(_runs(settings))
    for number, (name, seed) in enumerate(runs, 1):
        say(f"[{number}/{len(runs)}] {name}, seed {seed}")
        _train_one(out, settings, name, seed, placement=placement, progress=progress, say=say)
        _interpolate_one(out, settings, name, seed, device=device, progress=progress, say=say)
    results = []
    for seed in range(settings.seeds):
        folders = [out / "interpolations" / f"{name}-seed{seed}" for name in settings.priors]
        evaluation = out / "evaluations" / f"seed{seed}"
        wanted = {"interpolations": [f"../../interpolations/{folder.name}" for folder in folders], "seed": 0}
        sound = is_sound(evaluation, _read_judged, say)
        if not sound or read_record(evaluation, "evaluate")["settings"] != wanted:
            say(f"evaluating seed {seed}")
            extractor = extractor or classifier_extractor(train, test, seed=0, folder=out)
            evaluate_step(folders, evaluation, seed=0, extractor=extractor, device=device, progress=progress)
        results.append(read_evaluation(evaluation))
    tables = {
        **experiment_tables(results, list(settings.priors), name=test.name),
        "settings": {**fixed, "priors": list(settings.priors), "seeds": settings.seeds},
        "training_seconds": sum(model.result.seconds for result in results for model in result.models),
        "this_run_seconds": round(time.perf_counter() - started, 1),
        "versions": versions(),
    }
    write_json(out / "results.json", tables)
    write_text(out / "tables.md", tables_to_markdown(tables))
    write_text(out / "tables.csv", rows_to_csv(tables["paths"]))
    write_experiment_figures(tables, out)
    return tables


def _runs(settings: ExperimentSettings) -> Iterator[tuple[str, int]]:
    """Seed by seed, so that the first tables are whole as early as possible."""
    for seed in range(settings.seeds):
        for name in settings.priors:
            yield name, seed


def _train_one(
    out: Path,
    settings: ExperimentSettings,
    name: str,
    seed: int,
    *,
    placement: Placement,
    progress: bool,
    say: Callable[[str], None],
) -> None:
    folder = out / "models" / f"{name}-seed{seed}"
    training, glow = replace(settings.training, seed=seed), settings.glow(name)
    if is_sound(folder, load_run, say):
        run = load_run(folder)
        expected = FlowDescription(run.description.shape, **glow)
        recorded = TrainSettings(**run.record.settings["training"])
        if (run.data, run.description, recorded) != (settings.data, expected, training):
            raise DataError(f"{folder}: a model with other settings; remove it, or give another --out")
    elif is_sound(unfinished(folder), _read_unfinished, say):
        resume_training(folder, progress=progress, placement=placement)
    else:
        train_step(settings.data, folder, **glow, settings=training, progress=progress, placement=placement)


def _read_unfinished(folder: Path) -> None:
    read_record(folder, "train (unfinished)")
    for name in (LAST, BEST):
        if name == LAST or (folder / CHECKPOINTS / f"{name}.ckpt").is_file():
            read_checkpoint(folder / CHECKPOINTS / f"{name}.ckpt")


def _read_paths(folder: Path) -> None:
    for stored in read_interpolations(folder)[2]:
        stored.load()


def _read_judged(folder: Path) -> None:
    read_evaluation(folder)
    read_npz(folder / "images.npz")  # which a report shows


def _interpolate_one(
    out: Path,
    settings: ExperimentSettings,
    name: str,
    seed: int,
    *,
    device: str,
    progress: bool,
    say: Callable[[str], None],
) -> None:
    folder = out / "interpolations" / f"{name}-seed{seed}"
    if not is_sound(folder, _read_paths, say):
        shutil.rmtree(out / "evaluations" / f"seed{seed}", ignore_errors=True)  # it is of others
        model = out / "models" / f"{name}-seed{seed}"
        interpolate_step(
            model, folder, pairs=settings.pairs, steps=settings.times, seed=0, device=device, progress=progress
        )
