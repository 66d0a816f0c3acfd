"""The application that the commands join, and how it ends when one of them fails."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__

__all__ = ["Commands", "app"]


class Commands(TyperGroup):
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
    cls=Commands,
    help="Train flows with bases on manifolds, interpolate between images, evaluate and show the result.",
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
