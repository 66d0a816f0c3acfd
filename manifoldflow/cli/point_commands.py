"""The commands for points of manifolds: what `train`, `sample`, `interpolate`, `evaluate` and `report` do with them.

And `manifoldflow density`, which images do not have.
"""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import Output, app
from .groups import grouped

if TYPE_CHECKING:
    from ..steps.points import PointsChoice, PointsRecord

__all__ = [
    "PlaceOptions",
    "PointOptions",
    "density",
    "evaluate_points",
    "interpolate_points",
    "is_of_points",
    "refuse_image_options",
    "refuse_options",
    "report_points",
    "sample_points",
    "train_points",
]

_FEW = 100
_BEHIND = 3
"""Standard errors from which a flow is told that it is behind the kernel density."""


@dataclass(frozen=True)
class PointOptions:
    """Which points, and which model of them."""

    space: Annotated[
        str | None,
        typer.Option(help="The data are points of this space: sphere, torus, simplex or euclidean; docs: Data."),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(help="Of points: flow (default), matching (flow matching), mixture, or kde (a kernel density)."),
    ] = None
    components: Annotated[
        int | None, typer.Option(min=1, help="Of a mixture; default: whichever the validation points prefer.")
    ] = None
    columns: Annotated[
        str | None, typer.Option(help="Of points in a text file: those of the coordinates, such as lat,long or 3-9.")
    ] = None
    label: Annotated[str | None, typer.Option(help="Of points: the column of a class.")] = None
    time: Annotated[str | None, typer.Option(help="Of points: the column of a time.")] = None
    unit: Annotated[str | None, typer.Option(help="Of angles on the torus: degrees, or radians (default).")] = None
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Of vectors on the sphere: scale each to unit norm.")
    ] = False
    zeros: Annotated[
        str, typer.Option(help="Of compositions: refuse zeros, or replace them: multiplicative, bayesian (counts).")
    ] = "refuse"
    missing: Annotated[str, typer.Option(help="Of points: refuse rows that lack a coordinate, or skip them.")] = (
        "refuse"
    )

    def wanted(self, data: str, out: Path, *, resume: bool) -> bool:
        """Whether points are to be trained on: by the data's name, a space, or the run that is to be resumed.

        Raises:
            ValueError: Options of points without a space.
        """
        from ..data import POINT_SETS
        from ..files import unfinished

        if resume:
            return is_of_points(unfinished(out), "train (unfinished)")
        if self.space is not None or data in POINT_SETS:
            return True
        given = {f.name: _given(self, f) for f in fields(self)}
        refuse_options("points", given, "for a file of points add --space: sphere, torus, simplex or euclidean")
        return False

    def choice(self, data: str, seed: int) -> "PointsChoice":
        """The data with the seed of its split."""
        from ..steps.points import PointsChoice

        given = {name: value for name, value in vars(self).items() if name not in ("model", "components")}
        return PointsChoice(data, seed=seed, **given)


@dataclass(frozen=True)
class PlaceOptions:
    """Where paths between points begin and end."""

    start: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Of points: where to start, such as 35.7,139.7 in the data's units; several times for several.",
        ),
    ] = None
    end: Annotated[list[str] | None, typer.Option("--to", help="Of points: where to end, as often as --from.")] = None


def _given(options: Any, field: Any) -> Any:
    """An option's value if it is not the default; None otherwise."""
    value = getattr(options, field.name)
    return None if value == field.default else value


def refuse_options(whose: str, given: dict[str, Any], remedy: str = "leave it out") -> None:
    """Raise if an option was given that belongs to other data.

    Raises:
        ValueError: One was; it is named.
    """
    for name, value in given.items():
        if value is not None and value is not False and value != 0:
            raise ValueError(f"--{name.replace('_', '-')}: only for {whose}; {remedy}")


def refuse_image_options(*groups: Any, **others: Any) -> None:
    """Raise if an option of images was given with points."""
    given = {f.name: _given(group, f) for group in groups for f in fields(group) if f.name != "data"}
    refuse_options("images", {**given, **others})


def is_of_points(folder: Path, *commands: str) -> bool:
    """Whether one of these commands wrote the folder for points; what else is wrong with it, its reader says."""
    from ..errors import DataError
    from ..steps.points.runs import is_of_points
    from ..steps.record import read_record

    try:
        return is_of_points(read_record(folder, *commands))
    except DataError:
        return False


def train_points(
    data: str,
    points: PointOptions,
    out: Path,
    training: Any,
    stopping: Any,
    output: Output,
    *,
    resume: bool,
    seed: int,
) -> None:
    """Fit a model of points and say how it went."""
    from ..steps.points import resume_points_training, train_points_step
    from ..training import TrainSettings
    from ..training.point_models import ModelChoice

    if resume:
        _say_trained(resume_points_training(out, progress=output.talks), out, output)
        return
    settings = TrainSettings(
        **training.settings(epochs=100, batch_size=256), **stopping.settings(patience=20), seed=seed
    )
    choice = ModelChoice(points.model or "flow", points.components, settings)
    record = train_points_step(points.choice(data, seed), out, model=choice, progress=output.talks)
    _say_trained(record, out, output)


def _say_trained(record: "PointsRecord", out: Path, output: Output) -> None:
    result = record.result
    output.say(record.summary.describe())
    counts = record.points
    kind = record.model
    beside = "" if kind == "kde" else f", of a kernel density {result.control_nll}"
    output.say(
        f"Held-out negative log-likelihood {result.test_nll} nats on {counts['test']:,} test points{beside}; "
        f"trained on {counts['train']:,} ({result.seconds:.0f} s, {result.parameters:,} parameters). Model: {out}"
    )
    behind = result.test_nll.value - result.control_nll.value
    if kind in ("flow", "matching") and behind > _BEHIND * math.hypot(result.test_nll.error, result.control_nll.error):
        output.say(
            f"That is {behind:.1f} nats behind the kernel density, which holds a bump for every training point: train "
            "longer (--epochs, --patience), or take --model kde or mixture."
        )
    if result.note:
        output.say(f"Note: {result.note}.")
    if counts["test"] < _FEW:
        output.say(f"There are only {counts['test']} test points: the figures' errors are themselves uncertain.")
    output.result(record)


def sample_points(model: Path, out: Path, output: Output, *, count: int, temperature: float, seed: int) -> None:
    """Draw points from a model."""
    from ..steps.points import sample_points_step

    if temperature != 1:
        raise ValueError(f"--temperature: only for images, whose base has one, got {temperature}; leave it out")
    record = sample_points_step(model, out, count=count, seed=seed)
    output.say(f"{count} samples: {out / 'samples.csv'}")
    output.result(record)


@app.command()
@grouped
def density(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train --space ...' wrote.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, in the data's columns and units, or .npz.")],
    output: Output,
    at: Annotated[str, typer.Option(help="A file of points like those of the data, or grid.")] = "grid",
    missing: Annotated[str, typer.Option(help="Refuse rows of the file that lack a coordinate, or skip them.")] = (
        "refuse"
    ),
    resolution: Annotated[
        int, typer.Option(min=2, help="Of the grid: nodes from pole to pole, around an angle, or along an edge.")
    ] = 90,
) -> None:
    """Write the density of a model of points, in nats, at the points of a file or of a grid."""
    from ..steps.points import density_step

    record = density_step(model, out, at=at, resolution=resolution, missing=missing)
    output.say(f"Densities of {record['points']:,} points, mean log density {record['mean_log_density']:.3f}: {out}")
    output.result(record)


def interpolate_points(
    model: Path,
    out: Path,
    output: Output,
    methods: list[str] | None,
    places: PlaceOptions,
    *,
    pairs: int,
    steps: int,
    seed: int,
) -> None:
    """Paths between points through a model of them."""
    from ..steps.points import interpolate_points_step

    record = interpolate_points_step(
        model,
        out,
        methods=methods,
        start=places.start or [],
        end=places.end or [],
        pairs=pairs,
        steps=steps,
        seed=seed,
        progress=output.talks,
    )
    for name in record.settings.methods:
        output.say(
            f"{name}: mean length {record.lengths[name]:.3f}, mean typicality {record.typicality[name]:.3f} (draws "
            f"have 0.5), {record.seconds[name]:.1f} s"
        )
    output.say(f"Paths: {out}")
    output.result(record)


def evaluate_points(folders: list[Path], out: Path, output: Output, *, seed: int) -> None:
    """Judge models of the same points."""
    from ..steps.points import evaluate_points_step
    from ..steps.points.judging import table_lines

    result = evaluate_points_step(folders, out, seed=seed, progress=output.talks)
    output.plain("\n".join(table_lines(result)))
    output.say(f"Table: {out / 'table.csv'}")
    output.result(result)


def report_points(evaluation: Path, out: Path, output: Output) -> None:
    """Write the page about models of points."""
    from ..steps.points.showing import report_points_step

    result = report_points_step(evaluation, out)
    output.say(f"Report: {out / 'report.html'}")
    output.result(result)
