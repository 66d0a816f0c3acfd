"""`manifoldflow experiment realism`."""

from pathlib import Path
from typing import Annotated

import typer

from .experiment import experiments
from .options import Data, Json, Output, Quiet, Seed

__all__ = ["realism"]


@experiments.command()
def realism(
    out: Annotated[Path, typer.Option(help="Folder that grows; the same command goes on where it was interrupted.")],
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=4, help="Pixels a side, for a folder of images.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, for each of three models.")] = 30,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the models' widest resolution.")] = 16,
    dim: Annotated[int, typer.Option(min=2, help="Coordinates of a latent.")] = 20,
    pairs: Annotated[int, typer.Option(min=4, help="End points to connect under each model.")] = 16,
    segments: Annotated[int, typer.Option(min=2, help="Segments a path.")] = 50,
    iterations: Annotated[int, typer.Option(min=1, help="Evaluations a path, at most.")] = 300,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Figures 1, 2, 4 to 9 and the soap-bubble test of "Realism Index": tables.md, figures."""
    from ..steps import DataChoice
    from ..steps.realism import RealismSettings, realism_to_markdown, run_realism
    from ..steps.realism_paths import PathOptions
    from ..training import TrainSettings

    output = Output(quiet, as_json)

    settings = RealismSettings(
        data=DataChoice(data, size=size, seed=seed),
        training=TrainSettings(epochs=epochs, batch_size=64, checkpoint_every=200, seed=seed),
        dim=dim,
        channels=channels,
        pairs=pairs,
        paths=PathOptions(segments=segments, iterations=iterations),
    )
    result = run_realism(out, settings, progress=output.talks, say=output.say)
    output.plain(realism_to_markdown(result))
    output.say(f"Tables and figures: {out}")
    output.result(result)
