"""`manifoldflow evaluate`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .options import Device, Json, Out, Output, Quiet, Seed

__all__ = ["ExtractorName", "Features", "Weights", "chosen_extractor", "evaluate"]


class ExtractorName(StrEnum):
    """Networks whose features images are compared in."""

    classifier = "classifier"
    inception = "inception"


Features = Annotated[
    ExtractorName,
    typer.Option(
        help="Whose features distances are measured in: a small classifier trained here on the data, or the "
        "Inception network of the published scores (needs torch-fidelity)."
    ),
]
Weights = Annotated[
    Path | None, typer.Option(help="Inception's weights as torch-fidelity publishes them; default: downloaded.")
]


def chosen_extractor(name: ExtractorName, weights: Path | None) -> Any:
    """The extractor of the options; None for the classifier, which the step trains."""
    from ..evaluation import inception_extractor

    if name is ExtractorName.inception:
        return inception_extractor(weights)
    if weights is not None:
        raise ValueError("weights: only --extractor inception takes them; leave --weights out")
    return None


@app.command()
def evaluate(
    interpolations: Annotated[list[Path], typer.Argument(help="Folders that 'manifoldflow interpolate' wrote.")],
    out: Out,
    extractor: Features = ExtractorName.classifier,
    weights: Weights = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare interpolations of the same pairs: evaluation.json, table.csv, table.md; prints the table."""
    from ..steps import evaluate_step

    output = Output(quiet, as_json)

    network = chosen_extractor(extractor, weights)
    result = evaluate_step(interpolations, out, seed=seed, extractor=network, device=device, progress=output.talks)
    output.table(result)
    output.say(f"Table: {out / 'table.csv'}")
    output.result(result)
