"""`manifoldflow` and `python -m manifoldflow`: the command line, also interruptible while it still imports."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from .cli import app
    except KeyboardInterrupt:
        print("manifoldflow: interrupted; nothing was written", file=sys.stderr)
        raise SystemExit(130) from None
    app()


if __name__ == "__main__":
    main()
