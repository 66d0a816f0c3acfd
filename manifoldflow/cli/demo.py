"""`manifoldflow demo`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Data, Json, Out, Output, Quiet, Seed

__all__ = ["demo"]


@app.command()
def demo(
    data: Data = "digits",
    out: Out = Path("runs/demo"),
    seed: Seed = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs a flow, at most; default: what suits the data.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train three flows with different bases, interpolate nine ways, evaluate, write report.html."""
    from dataclasses import replace

    from ..steps import DemoSize, run_demo

    output = Output(quiet, as_json)

    size = DemoSize.of(data)
    if epochs is not None:
        size = replace(size, training=replace(size.training, epochs=epochs))
    result = run_demo(out, data=data, size=size, seed=seed, progress=output.talks, say=output.say)
    output.table(result)
    output.say(f"Report: {out / 'report.html'}")
    output.result(result)
