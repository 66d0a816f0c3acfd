"""The command line: each command parses, calls a step, prints."""

try:
    import rich  # noqa: F401
    import typer  # noqa: F401
except ImportError as missing:
    raise SystemExit(
        f'manifoldflow: the command line needs {missing.name}; install it with: pip install "manifoldflow[train]"'
    ) from missing

# Each adds its command to the app.
from . import experiment_commands, path_commands, point_commands, train_commands  # noqa: F401
from .app import app

__all__ = ["app"]
