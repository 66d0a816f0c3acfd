"""`manifoldflow evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Out, Quiet, Seed, say, show

__all__ = ["evaluate"]


@app.command()
def evaluate(
    interpolations: Annotated[list[Path], typer.Argument(help="Folders that 'manifoldflow interpolate' wrote.")],
    out: Out,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Compare interpolations of the same pairs: table.csv and evaluation.json; prints the table."""
    from ..steps import evaluate_step

    show(evaluate_step(interpolations, out, seed=seed), quiet)
    say(quiet)(f"Table: {out / 'table.csv'}")
