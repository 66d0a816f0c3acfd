"""`manifoldflow report`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Out, Quiet, say

__all__ = ["report"]


@app.command()
def report(
    evaluation: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow evaluate' wrote.")],
    out: Out,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained report.html, its figures as PNG and the table as CSV."""
    from ..steps import report_step

    report_step(evaluation, out)
    say(quiet)(f"Report: {out / 'report.html'}")
