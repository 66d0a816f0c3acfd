"""What every output folder records: settings, seed and versions; and how a later step finds it again."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import MARKER, read_json

__all__ = ["read_record", "relative_to", "versions"]

_PACKAGES = ("manifoldflow", "torch", "geomstats", "pyro-ppl", "numpy", "lightning", "torchmetrics")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages on which results depend."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def read_record(folder: Path, command: str) -> dict[str, Any]:
    """The record that `command` left in its output folder.

    Raises:
        DataError: The folder was not written by that command.
    """
    path = Path(folder) / MARKER
    if not path.is_file():
        raise DataError(f"{folder}: expected a folder written by 'manifoldflow {command}', but it has no {MARKER}")
    record = read_json(path)
    if not isinstance(record, dict) or record.get("command") != command:
        found = record.get("command") if isinstance(record, dict) else None
        raise DataError(f"{folder}: expected a folder written by 'manifoldflow {command}', it is one of {found!r}")
    return record


def relative_to(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, so that a tree of results can be moved as a whole."""
    return os.path.relpath(Path(path).resolve(), Path(folder).resolve())
