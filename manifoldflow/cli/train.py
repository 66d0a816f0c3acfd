"""`manifoldflow train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .options import Data, Out, Quiet, Seed, say

__all__ = ["train"]


@app.command()
def train(
    out: Out,
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=2, help="Pixels a side, for a folder of images.")] = 32,
    base: Annotated[str, typer.Option(help="Base distribution: gaussian, vmf or dirichlet.")] = "vmf",
    base_parameter: Annotated[
        float | None,
        typer.Option(
            help="gaussian: standard deviation (1); vmf: concentration over d (1); dirichlet: concentration (2)."
        ),
    ] = None,
    levels: Annotated[int, typer.Option(min=1, help="Glow's levels L.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Glow's steps K a level.")] = 8,
    hidden: Annotated[int, typer.Option(min=1, help="Channels of the hidden convolutions.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, at most.")] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without a better validation loss before stopping.")] = 8,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Write a checkpoint to resume from every so many steps.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run of --out with the settings it began with.")
    ] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train one flow of images; writes weights (safetensors), description (JSON) and log."""
    from ..steps import DataChoice, resume_training, train_step
    from ..training import TrainSettings

    if resume:
        _say_trained(resume_training(out, progress=not quiet), out, quiet)
        return
    settings = TrainSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    record = train_step(
        DataChoice(data, size=size, seed=seed),
        out,
        base=base,
        base_parameter=base_parameter,
        levels=levels,
        steps=steps,
        hidden=hidden,
        settings=settings,
        progress=not quiet,
    )
    _say_trained(record, out, quiet)


def _say_trained(record: dict[str, Any], out: Path, quiet: bool) -> None:
    result = record["result"]
    say(quiet)(
        f"Test bits per dimension {result['test_bpd']:.3f} after {result['epochs']} epochs "
        f"({result['seconds']:.0f} s, stopped by {result['stopped_by']}). Model: {out}"
    )
