"""`manifoldflow` and `python -m manifoldflow`: the command line, also interruptible while it still imports."""

from . import _ending_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    with _ending_at_once():
        from .cli import app
    app()


if __name__ == "__main__":
    main()
