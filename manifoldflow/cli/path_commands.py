"""`manifoldflow interpolate`, `ends`, `solve`, `evaluate` and `report`."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import Device, ExtractorName, Features, Out, Output, Seed, Weights, app, chosen_extractor
from .groups import PlacementOptions, grouped
from .point_commands import (
    PlaceOptions,
    evaluate_points,
    interpolate_points,
    is_of_points,
    refuse_options,
    report_points,
)

__all__ = ["ends", "evaluate", "interpolate", "report", "solve"]


@dataclass(frozen=True)
class PictureOptions:
    """Pictures of images beside the strips."""

    gif: Annotated[bool, typer.Option("--gif", help="Also write an animation of each method.")] = False
    samples: Annotated[
        int, typer.Option(min=0, help="Also a sheet of so many random paths between the first pair, by each bridge.")
    ] = 0
    grid: Annotated[
        int, typer.Option(min=0, help="Also a grid of so many images a side between the first two pairs' ends.")
    ] = 0


@app.command()
@grouped
def interpolate(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    places: PlaceOptions,
    pictures: PictureOptions,
    output: Output,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as linear, norm-corrected, slerp, geodesic, matched, bridge; what suits the model's base "
            "(an unsuitable one lists them), or typical-curve: shortest on the base's manifold where points cost minus "
            "the log of their two-sided typicality (slower; distances are those of the manifold, not of images). Of "
            "points also optimised: an energy that is low where the data are. Give it several times for several; "
            "default: of images those of the demo, of points geodesic, and matched where the model has it."
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs of test images of different classes (default 100), or of test points (8)."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Times a path, both ends included; default: 11, of points 33.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Take the pairs from this data instead of the model's test images.")
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Let an image take part in several pairs, where there are too few images.")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Interpolate between held-out images or points: for each method an .npz file, and a .png or a .csv file."""
    from ..steps import interpolate_step

    if is_of_points(model, "train"):
        refuse_options("images", {"data": data, "reuse": reuse, **vars(pictures)})
        interpolate_points(model, out, output, method, places, pairs=pairs or 8, steps=steps or 33, seed=seed)
        return
    refuse_options("points", {"from": places.start or None, "to": places.end or None})
    pairs, steps = pairs or 100, steps or 11
    record = interpolate_step(
        model,
        out,
        methods=method,
        pairs=pairs,
        steps=steps,
        seed=seed,
        data=data,
        reuse=reuse,
        animate=pictures.gif,
        samples=pictures.samples,
        grid_side=pictures.grid,
        device=device,
        progress=output.talks,
    )
    output.say(f"{pairs} pairs by {', '.join(record.settings.methods)}: {out}")
    output.result(record)


@app.command()
@grouped
def ends(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    output: Output,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of end points.")] = 1000,
    data: Annotated[
        str | None, typer.Option(help="Take the images from this data instead of the model's test images.")
    ] = None,
    from_base: Annotated[
        bool, typer.Option("--from-base", help="Draw the end points from the model's base instead of encoding images.")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Write end points for 'manifoldflow solve': encoded pairs of images of different classes."""
    from ..steps import ends_step

    ends_step(model, out, pairs=pairs, seed=seed, data=data, from_base=from_base, device=device)
    output.say(f"{pairs} pairs of end points: {out}")
    output.result({"command": "ends", "pairs": pairs, "out": str(out)})


class StoredFeatures(StrEnum):
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
@grouped
def solve(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    ends: Annotated[
        Path,
        typer.Argument(
            help="What 'manifoldflow ends' wrote, or an .npz file with start and end: points (rows, n), or images "
            "(rows, c, h, w) of uint8, which are encoded."
        ),
    ],
    out: Out,
    output: Output,
    placed: PlacementOptions,
    method: Annotated[
        str, typer.Option(help="A method that suits the model's base (an unsuitable one lists them), or typical-curve.")
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
        StoredFeatures,
        typer.Option(help="With --store values, whose features: a classifier trained here on the data, or Inception."),
    ] = StoredFeatures.none,
    weights: Weights = None,
    chunk: Annotated[int, typer.Option(min=1, help="Rows solved at once; they bound the memory.")] = 32,
    seed: Seed = 0,
) -> None:
    """Solve the paths of all rows; the same command again continues what was stopped. One .npy for each array."""
    from ..steps import solve_step

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
        extractor=_stored_extractor(features, weights),
        placement=placed.placement(),
        progress=output.talks,
    )
    if record is not None:
        result = record["result"]
        failed = f", {result['failed']} failed: see {out / 'summary.json'}" if result["failed"] else ""
        output.say(f"{result['rows']} rows by {record['settings']['method']}{failed}: {out}")
        output.result(record)


def _stored_extractor(features: StoredFeatures, weights: Path | None) -> Any:
    """The network of the values' features, or its name, or None."""
    if features is StoredFeatures.inception:
        return chosen_extractor(ExtractorName.inception, weights)
    if weights is not None:
        raise ValueError("weights: only --features inception takes them; leave --weights out")
    return None if features is StoredFeatures.none else features.value


def _parsed(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"option: expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@app.command()
@grouped
def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Of images: folders that 'manifoldflow interpolate' wrote. Of points: those of 'train', and of "
            "'interpolate' to show its paths in the report."
        ),
    ],
    out: Out,
    output: Output,
    extractor: Features = ExtractorName.classifier,
    weights: Weights = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Compare interpolations of the same pairs, or models of the same points: evaluation.json, table.csv, table.md."""
    from ..steps import evaluate_step

    if any(is_of_points(folder, "train", "interpolate") for folder in folders):
        evaluate_points(folders, out, output, seed=seed)
        return
    network = chosen_extractor(extractor, weights)
    result = evaluate_step(folders, out, seed=seed, extractor=network, device=device, progress=output.talks)
    output.table(result)
    output.say(f"Table: {out / 'table.csv'}")
    output.result(result)


@app.command()
@grouped
def report(
    evaluation: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow evaluate' wrote.")],
    out: Out,
    output: Output,
) -> None:
    """Write one self-contained report.html, its figures as PNG and the table as CSV."""
    from ..steps import report_step

    if is_of_points(evaluation, "evaluate"):
        report_points(evaluation, out, output)
        return
    result = report_step(evaluation, out)
    output.say(f"Report: {out / 'report.html'}")
    output.result(result)
