"""`manifoldflow interpolate`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Device, Json, Out, Output, Quiet, Seed

__all__ = ["interpolate"]


@app.command()
def interpolate(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as linear, norm-corrected, slerp, geodesic, matched, bridge; what suits the model's base "
            "(an unsuitable one lists them), or optimised: shortest on the base's manifold where points cost minus the "
            "log of their two-sided typicality (slower; distances are those of the manifold, not of images). Give it "
            "several times for several; default: those of the demo."
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of test images of different classes.")] = 100,
    steps: Annotated[int, typer.Option(min=2, help="Times a path, both ends included.")] = 11,
    data: Annotated[
        str | None, typer.Option(help="Take the pairs from this data instead of the model's test images.")
    ] = None,
    gif: Annotated[bool, typer.Option("--gif", help="Also write an animation of each method.")] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="Also a sheet of so many random paths between the first pair, by each bridge.")
    ] = 0,
    grid: Annotated[
        int, typer.Option(min=0, help="Also a grid of so many images a side between the first two pairs' ends.")
    ] = 0,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Interpolate between held-out images: for each method one .npz with points and images, and one .png."""
    from ..steps import interpolate_step

    output = Output(quiet, as_json)

    record = interpolate_step(
        model,
        out,
        methods=method,
        pairs=pairs,
        steps=steps,
        seed=seed,
        data=data,
        animate=gif,
        samples=samples,
        grid_side=grid,
        device=device,
        progress=output.talks,
    )
    output.say(f"{pairs} pairs by {', '.join(record['settings']['methods'])}: {out}")
    output.result(record)
