"""`manifoldflow report`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Json, Out, Output, Quiet

__all__ = ["report"]


@app.command()
def report(
    evaluation: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow evaluate' wrote.")],
    out: Out,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one self-contained report.html, its figures as PNG and the table as CSV."""
    from ..steps import report_step

    output = Output(quiet, as_json)

    result = report_step(evaluation, out)
    output.say(f"Report: {out / 'report.html'}")
    output.result(result)
