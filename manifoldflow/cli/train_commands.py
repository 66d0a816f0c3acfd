"""`manifoldflow train`, `sample` and `demo`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .app import Data, Json, Out, Output, Quiet, Seed, app

__all__ = ["demo", "sample", "train"]


@app.command()
def train(
    out: Out,
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=2, help="Pixels a side, for CelebA and folders of images.")] = 32,
    bits: Annotated[int, typer.Option(min=1, max=8, help="Bits a pixel: the highest of 8, for 8-bit images.")] = 8,
    published_test: Annotated[
        bool, typer.Option("--published-test", help="Test on the data's published test part; default: on 20 % of all.")
    ] = False,
    base: Annotated[str, typer.Option(help="Base distribution: gaussian, vmf or dirichlet.")] = "vmf",
    base_parameter: Annotated[
        float | None,
        typer.Option(
            help="gaussian: standard deviation (1); vmf: concentration over d (1); dirichlet: concentration (2)."
        ),
    ] = None,
    levels: Annotated[int, typer.Option(min=1, help="Glow's levels L.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Glow's steps K a level.")] = 8,
    hidden: Annotated[int, typer.Option(min=1, help="Channels of the hidden convolutions.")] = 64,
    preprocess: Annotated[
        str, typer.Option(help="centred (x - 1/2, as Glow) or logit (of 0.05 + 0.9 x, as Real NVP).")
    ] = "centred",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, at most.")] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step, over all devices.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps of the linear warm-up of the learning rate.")] = 50,
    clip: Annotated[float, typer.Option(help="Gradient norm above which gradients are scaled down.")] = 50.0,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without a better validation loss before stopping.")] = 8,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Write a checkpoint to resume from every so many steps.")
    ] = None,
    average: Annotated[
        float | None, typer.Option(help="Decay of an average of the weights, such as 0.999, to be the result.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="32-true, 64-true, or bf16-mixed (networks in bfloat16, log-determinants in float32).")
    ] = "32-true",
    compile_model: Annotated[bool, typer.Option("--compile", help="Use torch.compile; pays on a GPU.")] = False,
    log: Annotated[str, typer.Option(help="csv, or tensorboard.")] = "csv",
    devices: Annotated[int, typer.Option(min=1, help="Processes on each machine, which share each batch.")] = 1,
    num_nodes: Annotated[int, typer.Option(min=1, help="Machines; start the command on each.")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu ..., as Lightning's Trainer takes it.")] = "auto",
    strategy: Annotated[str, typer.Option(help="As Lightning's Trainer takes it.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run of --out with the settings it began with.")
    ] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train one flow of images; writes weights (safetensors), description (JSON) and log."""
    from ..steps import DataChoice, resume_training, train_step
    from ..training import Placement, TrainSettings
    from ..training.placement import is_first_process

    placement = Placement(accelerator, devices, num_nodes, strategy)
    first = is_first_process(placement)
    output = Output(quiet or not first, as_json and first)
    if resume:
        _say_trained(resume_training(out, progress=output.talks, placement=placement), out, output)
        return
    settings = TrainSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        clip=clip,
        patience=patience,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        checkpoint_every=checkpoint_every,
        seed=seed,
        average=average,
        precision=precision,
        compile=compile_model,
        log=log,
    )
    record = train_step(
        DataChoice(data, size=size, seed=seed, bits=bits, published_test=published_test),
        out,
        base=base,
        base_parameter=base_parameter,
        levels=levels,
        steps=steps,
        hidden=hidden,
        preprocess=preprocess,
        settings=settings,
        progress=output.talks,
        placement=placement,
    )
    _say_trained(record, out, output)


def _say_trained(record: dict[str, Any], out: Path, output: Output) -> None:
    result = record["result"]
    if record["origin"]:
        output.say(f"Training data: {record['origin']}")
    output.say(
        f"Test bits per dimension {result['test_bpd']:.3f} after {result['epochs']} epochs "
        f"({result['seconds']:.0f} s, stopped by {result['stopped_by']}). Model: {out}"
    )
    output.result(record)


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 64,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw images from a trained flow: samples.png and samples.npz."""
    from ..steps import sample_step

    output = Output(quiet, as_json)

    record = sample_step(model, out, count=count, seed=seed)
    output.say(f"{count} samples: {out / 'samples.png'}")
    output.result(record)


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
