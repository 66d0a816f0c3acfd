"""`manifoldflow ends`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Device, Json, Output, Quiet, Seed

__all__ = ["ends"]


@app.command()
def ends(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Annotated[Path, typer.Option(help="File to write; a new .npz.")],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of end points.")] = 1000,
    data: Annotated[
        str | None, typer.Option(help="Take the images from this data instead of the model's test images.")
    ] = None,
    from_base: Annotated[
        bool, typer.Option("--from-base", help="Draw the end points from the model's base instead of encoding images.")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a file of end points for 'manifoldflow solve': encoded pairs of images of different classes."""
    from ..steps import ends_step

    output = Output(quiet, as_json)

    ends_step(model, out, pairs=pairs, seed=seed, data=data, from_base=from_base, device=device)
    output.say(f"{pairs} pairs of end points: {out}")
    output.result({"command": "ends", "pairs": pairs, "out": str(out)})
