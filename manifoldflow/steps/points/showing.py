"""The report of an evaluation of points: the page's contents from what the other steps wrote."""

from pathlib import Path
from typing import Any

import numpy as np

from ...data import PointSplit
from ...data.layouts import LatLong
from ...errors import DataError
from ...files import damaged, new_folder, read_npz, write_json, write_text
from ...report.points import ModelShown, PathShown, PointsPage, density_shade, write_points_report
from ...training.point_models.interface import seeded
from ..record import recorded_folder, versions
from .judging import points_as_csv, read_points_evaluation
from .records import JudgedModel, PointsEvaluation
from .routes import read_routes
from .runs import PointsRun, control_of, load_points_run

__all__ = ["report_points_step", "write_points_report_files"]


def report_points_step(evaluation: Path, out: Path) -> PointsEvaluation:
    """Write report.html, its figures and the table of what `evaluate_points_step` wrote; return the evaluation.

    Raises:
        DataError: Not such an evaluation, or a model, paths or data of it are gone or have changed.
    """
    evaluation = Path(evaluation)
    record = {"of": "points", "settings": {"evaluation": str(evaluation.resolve())}, "versions": versions()}
    with new_folder(out, "report", record) as folder:
        return write_points_report_files(evaluation, folder)


def write_points_report_files(evaluation: Path, folder: Path) -> PointsEvaluation:
    """Write report.html, its figures, table.csv and evaluation.json into an existing folder; return the latter."""
    result = read_points_evaluation(evaluation)
    write_points_report(page_of(evaluation, result), folder)
    write_text(folder / "table.csv", points_as_csv(result))
    write_json(folder / "evaluation.json", result.to_json())
    return result


def page_of(evaluation: Path, result: PointsEvaluation) -> PointsPage:
    """What the page shows of an evaluation.

    Raises:
        DataError: As `report_points_step`.
    """
    runs = [load_points_run(recorded_folder(evaluation, path, "train")) for path in result.settings["models"]]
    split = runs[0].load_data()
    if split.hash != result.split:
        raise DataError(f"{evaluation}: its points are not those of its models; run 'manifoldflow evaluate' again")
    paths, titles = _paths(evaluation, result)
    samples = read_npz(evaluation / "samples.npz")
    with damaged(evaluation / "samples.npz", "run 'manifoldflow evaluate' again"):
        models = [_model(one, runs, split, samples[one.name], paths) for one in result.models]
    train = split.train
    return PointsPage(
        name=Path(result.data["source"]).stem,
        space=train.space,
        train=train.points.numpy(),
        held_out=split.test.points.numpy(),
        models=models,
        paths=paths,
        pair_titles=titles,
        names=() if isinstance(train.layout, LatLong) else train.layout.names,
        land=isinstance(train.layout, LatLong),
        notes=(result.summary.describe(),),
        settings=result.settings | {"data": result.data, "versions": result.versions},
    )


def _model(
    one: JudgedModel, runs: list[PointsRun], split: PointSplit, samples: np.ndarray, paths: list[PathShown]
) -> ModelShown:
    own = [run for run in runs if run.record.split == split.hash]
    law = _law(one, own, split)
    with seeded(0):
        shade = density_shade(law, split.train.points.numpy(), paths=[path.points for path in paths])
    return ModelShown(
        one.certificate,
        samples,
        shade,
        one.two_sample.p_value,
        one.calibration,
        one.is_control,
        one.training_seconds,
    )


def _law(one: JudgedModel, runs: list[PointsRun], split: PointSplit) -> Any:
    """The distribution of a judged model; the control is fitted again."""
    if one.folder is None:
        return control_of(split, runs[0].data.seed).model.distribution
    return next(run for run in runs if run.folder.name == Path(str(one.folder)).name).model.distribution


def _paths(evaluation: Path, result: PointsEvaluation) -> tuple[list[PathShown], list[str]]:
    """The paths of the first folder, and of others with as many pairs and times; titles of places that were given."""
    shown: list[PathShown] = []
    titles: list[str] = []
    names = {one.folder: one.name for one in result.models if one.folder is not None}
    for path in result.settings["paths"]:
        folder = recorded_folder(evaluation, path, "interpolate")
        run, record, arrays = read_routes(folder)
        model = next((n for where, n in names.items() if (evaluation / where).resolve() == run.folder.resolve()), "")
        for method, content in arrays.items():
            label = method if len(result.settings["paths"]) == 1 else f"{method}, {model}"
            if label in [path.name for path in shown]:  # two folders of one model
                label = f"{label}, {folder.name}"
            with damaged(folder / f"{method}.npz", "interpolate again"):
                shown.append(PathShown(label, content["points"], content["typicality"], model))
        if record.settings.start and not titles:
            titles = [f"{a} to {b}" for a, b in zip(record.settings.start, record.settings.end, strict=True)]
    return shown, titles
