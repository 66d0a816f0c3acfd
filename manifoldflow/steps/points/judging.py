"""Models of the same points side by side: certified likelihoods, tests of their draws, calibration."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import PointSplit
from ...errors import DataError
from ...evaluation import Estimate, calibration, certify, two_sample_test
from ...evaluation.certify import mass_text
from ...files import damaged, new_folder, read_json, write_json, write_text
from ...report.table import markdown_table
from ...training.point_models import PointModel
from ...training.point_models.interface import seeded
from ..progress import progress_bar
from ..record import read_record, relative_to, versions
from .records import JudgedModel, PointsEvaluation
from .routes import read_routes
from .runs import PointsRun, control_of, is_of_points, load_points_run

__all__ = ["evaluate_points_step", "points_as_csv", "points_table", "read_points_evaluation", "table_lines"]

_CONTROL = "kernel density"
_DRAWS = 10_000
_DRAWS_BY_SOLVER = 2_000


def evaluate_points_step(folders: list[Path], out: Path, *, seed: int = 0, progress: bool = False) -> PointsEvaluation:
    """Judge models of the same points; write evaluation.json, table.csv, table.md and samples.npz; return the first.

    A kernel density of the training points always stands beside them.

    Args:
        folders: Folders that `train_points_step` wrote, and of paths that `interpolate_points_step` wrote for the
            report.
        out: New folder.
        seed: Of the draws and permutations.
        progress: Show a bar with the time left.

    Raises:
        DataError: No model, models of different points or with the same name, paths of another model.
    """
    runs, routes = _sorted(folders)
    split = runs[0].load_data()
    _check_comparable(runs)
    names = _names(runs)
    settings = {
        "models": [relative_to(run.folder, out) for run in runs],
        "paths": [relative_to(folder, out) for folder in routes],
        "seed": seed,
    }
    with new_folder(out, "evaluate", {"of": "points", "settings": settings, "versions": versions()}) as folder:
        judge, samples = _Judge(split, seed), {}
        with progress_bar("evaluating", len(runs) + 1, shown=progress) as advance:
            models = []
            for run, name in zip(runs, names):
                where, seconds = relative_to(run.folder, out), run.record.result.seconds
                model, samples[name] = judge(run.model, name, where, seconds)
                models.append(model)
                advance()
            if not any(run.model.kind == "kde" for run in runs):
                fitted = control_of(split, runs[0].data.seed)
                model, samples[_CONTROL] = judge(fitted.model, _CONTROL, None, fitted.seconds)
                models.append(model)
            advance()
        result = PointsEvaluation(
            settings,
            runs[0].data.to_json(),
            split.train.summary,
            runs[0].layout.to_json(),
            split.hash,
            tuple(models),
            versions(),
        )
        write_json(folder / "evaluation.json", result.to_json())
        write_text(folder / "table.csv", points_as_csv(result))
        write_text(folder / "table.md", "\n".join(table_lines(result)) + "\n")
        arrays = {name: value.numpy() for name, value in samples.items()}
        np.savez(folder / "samples.npz", **arrays)  # type: ignore[arg-type]  # numpy's stubs say bool
    return result


def _sorted(folders: list[Path]) -> tuple[list[PointsRun], list[Path]]:
    """Models, and folders of paths, each path's model among the models."""
    models = [folder for folder in folders if _command(folder) == "train"]
    routes = [folder for folder in folders if _command(folder) == "interpolate"]
    runs = [load_points_run(folder) for folder in models]
    known = {run.folder.resolve() for run in runs}
    for folder in routes:
        run, _, _ = read_routes(folder)
        if run.folder.resolve() not in known:
            runs.append(run)
            known.add(run.folder.resolve())
    if not runs:
        raise DataError("evaluate: expected folders of models that were trained with --space, got none")
    return runs, routes


def _command(folder: Path) -> str:
    record = read_record(folder, "train", "interpolate")
    if not is_of_points(record):
        raise DataError(f"evaluate: {folder} is of images, and others are of points; evaluate them apart")
    return str(record["command"])


def _check_comparable(runs: list[PointsRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.record.split != first.record.split:
            raise DataError(
                f"evaluate: {run.folder} and {first.folder} have different training or test points (splits "
                f"{run.record.split} and {first.record.split}); train both with the same --data, options and --seed"
            )


def _names(runs: list[PointsRun]) -> list[str]:
    """The kinds of the models; the folders' names where a kind is there twice."""
    titles = [run.model.title for run in runs]
    names = [title if titles.count(title) == 1 else run.name for run, title in zip(runs, titles)]
    if len(set(names)) < len(names):
        raise DataError(f"evaluate: expected folders with different names, got {', '.join(names)}")
    return names


@dataclass(frozen=True)
class _Judge:
    """Judges one model after the other on the same split, each with the same seed."""

    split: PointSplit
    seed: int

    def __call__(self, model: PointModel, name: str, folder: str | None, seconds: float) -> tuple[JudgedModel, Tensor]:
        """The figures of a model, and its draws."""
        law, test = model.distribution, self.split.test.points
        with torch.no_grad(), seeded(self.seed):
            certificate = certify(law, test, train=self.split.train.points, name=name)
            samples = law.sample(torch.Size((min(2000, max(200, len(test))),)))
            draws = _DRAWS if certificate.tolerance is None else _DRAWS_BY_SOLVER
            regions = calibration(law, test.to(model.dtype), samples=draws)
        test_of_draws = two_sample_test(
            samples, test.to(samples.dtype), space=model.space, generator=torch.Generator().manual_seed(self.seed)
        )
        judged = JudgedModel(
            name,
            folder,
            replace(certificate, parameters=model.size),
            test_of_draws,
            regions,
            round(seconds, 2),
            is_control=model.kind == "kde",
        )
        return judged, samples


def read_points_evaluation(folder: Path) -> PointsEvaluation:
    """The evaluation.json that `evaluate_points_step` wrote.

    Raises:
        DataError: Not such a folder, or a damaged one.
    """
    read_record(folder, "evaluate")
    path = Path(folder) / "evaluation.json"
    with damaged(path, "run 'manifoldflow evaluate' again"):
        return PointsEvaluation.from_json(read_json(path))


_COLUMNS = (
    "model",
    "held-out nll",
    "without copies",
    "integral",
    "two-sample p",
    "50 %",
    "90 %",
    "99 %",
    "parameters",
    "train s",
    "score s",
)


def points_table(result: PointsEvaluation) -> list[tuple[str, ...]]:
    """The header and a row for each model, the best first."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for model in sorted(result.models, key=lambda one: one.certificate.nll.value):
        one = model.certificate
        rows.append(
            (
                f"{model.name} (control)" if model.is_control else model.name,
                str(one.nll),
                "" if one.nll_without_copies is None else str(one.nll_without_copies),
                mass_text(one.mass),
                f"{model.two_sample.p_value:.3f}",
                *(f"{share.value:.0%}" for _, share in model.calibration),
                f"{one.parameters:,}",
                f"{model.training_seconds:.1f}",
                f"{one.seconds:.2f}",
            )
        )
    return rows


def table_lines(result: PointsEvaluation) -> list[str]:
    """What the table says, in Markdown, with its notes."""
    first = result.models[0].certificate
    header, *rows = points_table(result)
    by = " and ".join(sorted({model.certificate.mass_by for model in result.models}))
    lines = [
        result.summary.describe(),
        f"Split {result.split}: {first.held_out:,} held-out points, {first.copies:.1%} of them copies of training "
        "points.",
        "",
        markdown_table(header, rows),
        "Held-out negative log-likelihood in nats ± standard error; also without the copies. "
        f"The integral of the density by {by}: 1 for a density, unknown where there are too many dimensions for it. "
        "The two-sample p value is of draws against held-out points, small where they differ. "
        "Percentages are of held-out points inside the model's region of highest density of that level.",
    ]
    for model in result.models:
        tolerance, effect = model.certificate.tolerance, model.certificate.tolerance_effect
        if tolerance is not None and effect is not None:
            lines.append(f"{model.name}: solver tolerance {tolerance:g}; halved, the figure moves by {effect:+.1g}.")
    return lines


def points_as_csv(result: PointsEvaluation) -> str:
    """One row for each model, all figures as numbers."""

    def pair(name: str, estimate: Estimate | None) -> dict[str, Any]:
        value, error = ("", "") if estimate is None else (estimate.value, estimate.error)
        return {name: value, f"{name}_error": error}

    with io.StringIO() as text:
        writer = None
        for model in result.models:
            one = model.certificate
            row: dict[str, Any] = {"model": model.name, "is_control": model.is_control, **pair("nll", one.nll)}
            row |= pair("nll_without_copies", one.nll_without_copies) | {"copies": one.copies, "held_out": one.held_out}
            row |= pair("integral", one.mass) | {"integral_by": one.mass_by, "split": one.split}
            row |= {"two_sample_mmd": model.two_sample.mmd, "two_sample_p": model.two_sample.p_value}
            for level, share in model.calibration:
                row |= pair(f"inside_{level:g}", share)
            row |= {"tolerance": one.tolerance, "tolerance_effect": one.tolerance_effect}
            row |= {"parameters": one.parameters, "seconds": one.seconds, "training_seconds": model.training_seconds}
            writer = writer or csv.DictWriter(text, row, lineterminator="\n")
            if text.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
        return text.getvalue()
