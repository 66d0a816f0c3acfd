"""`manifoldflow experiment`: the experiments of the papers, each a command of its own."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Data, Device, ExtractorName, Features, Output, Seed, Weights, app, chosen_extractor
from .groups import DataOptions, GlowOptions, TrainingOptions, grouped

__all__ = ["experiments", "pinf", "realism"]

experiments = typer.Typer(help="Run the experiments of the papers on your data.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")


@experiments.command()
@grouped
def pinf(
    out: Annotated[Path, typer.Option(help="Folder to fill; the same command continues an interrupted run.")],
    data: DataOptions,
    glow: GlowOptions,
    training: TrainingOptions,
    output: Output,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help="gaussian, vmf-1, vmf-1.5, vmf-2 (kappa over d) or dirichlet; several times for several. Default: all."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training runs per prior.")] = 3,
    pairs: Annotated[int, typer.Option(min=64, help="Pairs of test images of different classes.")] = 500,
    extractor: Features = ExtractorName.classifier,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Priors x interpolations x seeds of "Principled Interpolation in Normalizing Flows": tables.md, figures."""
    from ..experiments import PRIORS, ExperimentSettings, run_experiment
    from ..experiments.pinf.tables import tables_to_markdown
    from ..training import TrainSettings

    trained = training.settings()
    settings = ExperimentSettings(
        data=data.choice(),
        priors=tuple(prior or PRIORS),
        seeds=seeds,
        **vars(glow),
        # No early stopping: priors are compared after the same number of steps.
        training=TrainSettings(**trained, patience=trained["epochs"], checkpoint_every=500),
        pairs=pairs,
    )
    network = chosen_extractor(extractor, weights)
    tables = run_experiment(out, settings, extractor=network, progress=output.talks, device=device, say=output.say)
    output.plain(tables_to_markdown(tables))
    output.say(f"Tables and figures: {out}")
    output.result(tables)


@experiments.command()
@grouped
def realism(
    out: Annotated[Path, typer.Option(help="Folder to fill; the same command continues an interrupted run.")],
    output: Output,
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=4, help="Side in pixels, for a folder of images.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, for each of three models.")] = 30,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the models' widest resolution.")] = 16,
    dim: Annotated[int, typer.Option(min=2, help="Coordinates of a latent.")] = 20,
    pairs: Annotated[int, typer.Option(min=4, help="End points to connect under each model.")] = 16,
    segments: Annotated[int, typer.Option(min=2, help="Segments per path.")] = 50,
    iterations: Annotated[int, typer.Option(min=1, help="Evaluations per path, at most.")] = 300,
    seed: Seed = 0,
) -> None:
    """Figures 1, 2, 4 to 9 and the soap-bubble test of "Realism Index": tables.md, figures."""
    from ..experiments import PathOptions, RealismSettings, run_realism
    from ..experiments.realism.study import realism_to_markdown
    from ..steps import DataChoice
    from ..training import TrainSettings

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
