"""`manifoldflow` and `python -m manifoldflow`: the command line, interruptible from its imports to its end."""

import signal
import sys

from . import _end_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    _end_at_once()
    from typer.main import get_command

    from .cli import app

    try:
        get_command(app)()
    finally:  # what it wrote and said stands; the interpreter has only to close
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        sys.unraisablehook = lambda lost: None  # such as of files that an interruption left half written


if __name__ == "__main__":
    main()
