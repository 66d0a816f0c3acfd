"""`manifoldflow sample`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Json, Out, Output, Quiet, Seed

__all__ = ["sample"]


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 64,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw images from a trained flow: samples.png and samples.npz."""
    from ..steps import sample_step

    output = Output(quiet, as_json)

    record = sample_step(model, out, count=count, seed=seed)
    output.say(f"{count} samples: {out / 'samples.png'}")
    output.result(record)
