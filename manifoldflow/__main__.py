"""`manifoldflow` and `python -m manifoldflow`: the command line, also interruptible while it still imports."""

from . import _ending_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    with _ending_at_once():
        from typer.main import get_command

        from .cli import app

        command = get_command(app)
    command()


if __name__ == "__main__":
    main()
