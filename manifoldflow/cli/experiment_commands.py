"""`manifoldflow experiment`: the experiments of the papers, each a command of its own."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Data, Device, ExtractorName, Features, Json, Output, Quiet, Seed, Weights, app, chosen_extractor

__all__ = ["experiments", "pinf", "realism"]

experiments = typer.Typer(help="Run the experiments of the papers on your data.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")


@experiments.command()
def pinf(
    out: Annotated[Path, typer.Option(help="Folder that grows; the same command goes on where it was interrupted.")],
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=2, help="Pixels a side, for a folder of images.")] = 32,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help="gaussian, vmf-1, vmf-1.5, vmf-2 (kappa over d) or dirichlet; several times for several. Default: all."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training runs a prior.")] = 3,
    bits: Annotated[int, typer.Option(min=1, max=8, help="Bits a pixel: the highest of 8, for 8-bit images.")] = 8,
    published_test: Annotated[
        bool, typer.Option("--published-test", help="Test on the data's published test part; default: on 20 % of all.")
    ] = False,
    levels: Annotated[int, typer.Option(min=1, help="Glow's levels L.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Glow's steps K a level.")] = 8,
    hidden: Annotated[int, typer.Option(min=1, help="Channels of the hidden convolutions.")] = 64,
    preprocess: Annotated[str, typer.Option(help="centred or logit, as 'manifoldflow train' takes it.")] = "centred",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, at most.")] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps of the linear warm-up of the learning rate.")] = 50,
    precision: Annotated[str, typer.Option(help="32-true, 64-true or bf16-mixed.")] = "32-true",
    compile_model: Annotated[bool, typer.Option("--compile", help="Use torch.compile; pays on a GPU.")] = False,
    pairs: Annotated[int, typer.Option(min=64, help="Pairs of test images of different classes.")] = 500,
    extractor: Features = ExtractorName.classifier,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Priors x interpolations x seeds of "Principled Interpolation in Normalizing Flows": tables.md, figures."""
    from ..experiments import PRIORS, ExperimentSettings, run_experiment
    from ..experiments.pinf.tables import tables_to_markdown
    from ..steps import DataChoice
    from ..training import TrainSettings

    output = Output(quiet, as_json)

    training = TrainSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        checkpoint_every=500,
        precision=precision,
        compile=compile_model,
    )
    settings = ExperimentSettings(
        data=DataChoice(data, size=size, bits=bits, published_test=published_test),
        priors=tuple(prior or PRIORS),
        seeds=seeds,
        levels=levels,
        steps=steps,
        hidden=hidden,
        preprocess=preprocess,
        training=training,
        pairs=pairs,
    )
    network = chosen_extractor(extractor, weights)
    tables = run_experiment(out, settings, extractor=network, progress=output.talks, device=device, say=output.say)
    output.plain(tables_to_markdown(tables))
    output.say(f"Tables and figures: {out}")
    output.result(tables)


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
    from ..experiments import PathOptions, RealismSettings, run_realism
    from ..experiments.realism.study import realism_to_markdown
    from ..steps import DataChoice
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
