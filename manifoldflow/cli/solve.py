"""`manifoldflow solve`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .evaluate import ExtractorName, Weights, chosen_extractor
from .options import Json, Out, Output, Quiet, Seed

__all__ = ["solve"]


class Features(StrEnum):
    """Networks whose features of the paths are stored."""

    none = "none"
    classifier = "classifier"
    inception = "inception"


class Stored(StrEnum):
    """What is kept of each path."""

    points = "points"
    images = "images"
    values = "values"


@app.command()
def solve(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    ends: Annotated[
        Path,
        typer.Argument(
            help="An .npz file with start and end: points (rows, n) as 'manifoldflow ends' writes them, or images "
            "(rows, c, h, w) of uint8, which are encoded."
        ),
    ],
    out: Out,
    method: Annotated[
        str, typer.Option(help="A method that suits the model's base (an unsuitable one lists them), or optimised.")
    ] = "matched",
    steps: Annotated[int, typer.Option(min=2, help="Times a path, both ends included.")] = 11,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an option of the method such as horizon=2; repeatable.")
    ] = None,
    store: Annotated[
        list[Stored] | None,
        typer.Option(
            help="What to keep: points, images, values (bits per dimension, typicality, lengths, features); "
            "repeatable; default: points and images."
        ),
    ] = None,
    features: Annotated[
        Features,
        typer.Option(help="With --store values, whose features: a classifier trained here on the data, or Inception."),
    ] = Features.none,
    weights: Weights = None,
    chunk: Annotated[int, typer.Option(min=1, help="Rows solved at once; they bound the memory.")] = 32,
    accelerator: Annotated[str, typer.Option(help="As Lightning takes it: auto, cpu, gpu ...")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes on each machine.")] = 1,
    num_nodes: Annotated[int, typer.Option(min=1, help="Machines; start the same command on each.")] = 1,
    strategy: Annotated[str, typer.Option(help="As Lightning takes it: auto, ddp ...")] = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Solve the paths of all rows; the same command again continues what was stopped. One .npy for each array."""
    from ..steps import solve_step
    from ..training import Placement

    output = Output(quiet, as_json)

    if features is Features.inception:
        extractor = chosen_extractor(ExtractorName.inception, weights)
    elif weights is not None:
        raise ValueError("weights: only --features inception takes them; leave --weights out")
    else:
        extractor = None if features is Features.none else features.value
    record = solve_step(
        model,
        ends,
        out,
        method=method,
        steps=steps,
        seed=seed,
        options=dict(_parsed(text) for text in option or ()),
        chunk=chunk,
        store=tuple(store) if store else ("points", "images"),
        extractor=extractor,
        placement=Placement(accelerator, devices, num_nodes, strategy),
        progress=output.talks,
    )
    if record is not None:
        result = record["result"]
        failed = f", {result['failed']} failed: see {out / 'summary.json'}" if result["failed"] else ""
        output.say(f"{result['rows']} rows by {record['settings']['method']}{failed}: {out}")
        output.result(record)


def _parsed(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"option: expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
