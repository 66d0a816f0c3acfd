"""What every output folder records: settings, seed and versions; and how a later step finds it again."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

from ..errors import DataError
from ..files import MARKER, read_json
from ..training.saved import weights_sha256

__all__ = ["chosen_device", "file_name", "read_record", "recorded_folder", "recorded_model", "relative_to", "versions"]

_PACKAGES = ("manifoldflow", "torch", "geomstats", "pyro-ppl", "numpy", "lightning", "torchmetrics")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages on which results depend."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def read_record(folder: Path, *commands: str) -> dict[str, Any]:
    """The record that one of these commands left in its output folder.

    Raises:
        DataError: The folder was written by none of them, or the record is damaged.
    """
    path, names = Path(folder) / MARKER, " or ".join(f"'manifoldflow {command}'" for command in commands)
    if not path.is_file():
        why = f"but it has no {MARKER}" if path.parent.is_dir() else "but there is no such folder"
        raise DataError(f"{folder}: expected a folder written by {names}, {why}")
    record = read_json(path)
    found = record.get("command") if isinstance(record, dict) else None
    if found not in commands:
        raise DataError(f"{folder}: expected a folder written by {names}, it is one of {found!r}")
    return dict(record)


def recorded_folder(folder: Path, path: Any, command: str) -> Path:
    """The folder that a record in `folder` names by a path as seen from there, written by `command`.

    Paths in records are untrusted hints: a record may come from elsewhere.

    Raises:
        DataError: The path is absolute, or what it leads to was not written by that command.
    """
    if not isinstance(path, str) or not path or Path(path).is_absolute():
        raise DataError(f"{folder}: its record names {path!r:.200}; expected a path as seen from that folder")
    read_record(Path(folder) / path, command)
    return Path(folder) / path


class _MadeWith(Protocol):
    """A record that names its model."""

    @property
    def model_sha256(self) -> str: ...

    @property
    def settings(self) -> Any: ...


def recorded_model(folder: Path, record: _MadeWith) -> Path:
    """The model that the record of interpolations in `folder` names, if it is still the very one they were made with.

    Raises:
        DataError: It is another one, or none.
    """
    model = recorded_folder(folder, record.settings.model, "train")
    if weights_sha256(model) != record.model_sha256:
        raise DataError(f"{folder}: was made with another model than {model} now is; interpolate again")
    return model


def file_name(name: Any) -> str:
    """`name`, if it can be part of a file's name and nothing else: no folder, not hidden.

    Raises:
        ValueError: It cannot.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"expected a name of letters, digits, '.', '+' and '-', got {name!r:.100}")
    return name


def relative_to(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, so that a tree of results can be moved as a whole."""
    return os.path.relpath(Path(path).resolve(), Path(folder).resolve())


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU if there is one, else the CPU.

    Raises:
        DataError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"device: expected auto, cpu or a device of this machine, got {name!r} ({reason:.200})"
        ) from error
    return device
