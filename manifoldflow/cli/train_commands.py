"""`manifoldflow train`, `sample` and `demo`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import Data, Out, Output, Seed, app
from .groups import DataOptions, GlowOptions, PlacementOptions, TrainingOptions, grouped
from .point_commands import PointOptions, is_of_points, refuse_image_options, sample_points, train_points

if TYPE_CHECKING:
    from ..evaluation import TrainingRecord

__all__ = ["demo", "sample", "train"]

_FEW_TEST_IMAGES = 80
"""Of ten equal classes, 9 in 10 images start a pair of different classes."""


@dataclass(frozen=True)
class StoppingOptions:
    """When a training stops, what it keeps and what it logs."""

    clip: Annotated[float, typer.Option(help="Gradient norm above which gradients are scaled down.")] = 50.0
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs without a better validation loss before stopping; default: 8, of points 20."),
    ] = None
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Write a checkpoint to resume from every so many steps.")
    ] = None
    average: Annotated[
        float | None, typer.Option(help="Decay of an average of the weights, such as 0.999, to be the result.")
    ] = None
    log: Annotated[str, typer.Option(help="csv, or tensorboard.")] = "csv"

    def settings(self, *, patience: int = 8) -> dict[str, Any]:
        """As `TrainSettings` takes them, with this patience where none was given."""
        given = dict(vars(self))
        minutes = given.pop("max_minutes")
        seconds = None if minutes is None else 60 * minutes
        return {**given, "patience": self.patience or patience, "max_seconds": seconds}


@app.command()
@grouped
def train(
    out: Out,
    data: DataOptions,
    points: PointOptions,
    glow: GlowOptions,
    training: TrainingOptions,
    stopping: StoppingOptions,
    placed: PlacementOptions,
    output: Output,
    base: Annotated[
        str | None, typer.Option(help="Of images, the base distribution: gaussian, vmf (default) or dirichlet.")
    ] = None,
    base_parameter: Annotated[
        float | None,
        typer.Option(
            help="gaussian: standard deviation (1); vmf: concentration over d (1); dirichlet: concentration (2)."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run of --out with its own settings.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Train one flow of images, or with --space a model of points; writes weights (safetensors), JSON and log."""
    from ..steps import resume_training, train_step
    from ..training import TrainSettings
    from ..training.placement import is_first_process

    placement = placed.placement()
    first = is_first_process(placement)
    output = Output(output.quiet or not first, output.as_json and first)
    if points.wanted(data.data, out, resume=resume):
        refuse_image_options(data, glow, placed, base=base, base_parameter=base_parameter)
        train_points(data.data, points, out, training, stopping, output, resume=resume, seed=seed)
        return
    if resume:
        _say_trained(resume_training(out, progress=output.talks, placement=placement), out, output)
        return
    record = train_step(
        data.choice(seed),
        out,
        base=base or "vmf",
        base_parameter=base_parameter,
        **vars(glow),
        settings=TrainSettings(**training.settings(), **stopping.settings(), seed=seed),
        progress=output.talks,
        placement=placement,
    )
    _say_trained(record, out, output)


def _say_trained(record: "TrainingRecord", out: Path, output: Output) -> None:
    result = record.result
    if record.origin:
        output.say(f"Training data: {record.origin}")
    output.say(
        f"Test bits per dimension {result.test_bpd:.3f} after {result.steps} steps, {result.epochs} epochs "
        f"({result.seconds:.0f} s, stopped by {result.stopped_by}). Model: {out}"
    )
    for remark in remarks(record):
        output.say(remark)
    output.result(record)


def remarks(record: "TrainingRecord") -> list[str]:
    """What a user should know before going on."""
    remarks = []
    if record.levels is not None and record.result.test_bpd > math.log2(record.levels):
        remarks.append(
            f"This is worse than knowing nothing: uniform pixels have {math.log2(record.levels):.2f} bits per "
            "dimension. Train longer, or check that the images are what you expect (their size, say)."
        )
    if record.images["test"] < _FEW_TEST_IMAGES:
        remarks.append(
            f"There are {record.images['test']} test images, which may give fewer than the 64 pairs that 'evaluate' "
            "needs; let images take part in several pairs with 'interpolate --reuse'."
        )
    return remarks


@app.command()
@grouped
def sample(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Number of images or points.")] = 64,
    temperature: Annotated[
        float, typer.Option(help="Below 1, draws closer to the base's mode: from its density to the power 1 / T^2.")
    ] = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw from a model: of images samples.png and samples.npz, of points samples.csv and samples.npz."""
    from ..steps import sample_step

    if is_of_points(model, "train"):
        sample_points(model, out, output, count=count, temperature=temperature, seed=seed)
        return
    record = sample_step(model, out, count=count, seed=seed, temperature=temperature)
    output.say(f"{count} samples: {out / 'samples.png'}")
    output.result(record)


@app.command()
@grouped
def demo(
    output: Output,
    data: Data = "digits",
    out: Out = Path("runs/demo"),
    seed: Seed = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each flow; default: what suits the data.")
    ] = None,
) -> None:
    """Train three flows with different bases, interpolate nine ways, evaluate, write report.html; then earthquakes."""
    from dataclasses import replace

    from ..steps import DemoSize, run_demo

    size = DemoSize.of(data)
    if epochs is not None:
        size = replace(size, training=replace(size.training, epochs=epochs, patience=epochs))
    result = run_demo(out, data=data, size=size, seed=seed, progress=output.talks, say=output.say)
    output.table(result)
    output.say(f"Reports: {out / 'report.html'}, on images, and {out / 'globe' / 'report.html'}, on earthquakes")
    output.say(f"Picture: {out / 'globe' / 'globe.png'}")
    output.result(result)
