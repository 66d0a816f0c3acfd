"""Files written whole or not at all, and read with errors that name them."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from . import unpacking

__all__ = ["atomic_path", "damaged", "read_json", "read_npz", "write_json", "write_text", "writing"]


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; nothing in it is unpickled.

    Raises:
        DataError: The file is missing, damaged, holds pickled objects, or would unpack to far more than it is.
    """
    try:
        return unpacking.read_npz(Path(path))
    except Exception as error:  # numpy raises whatever the zip and npy parsers meet
        raise DataError(f"{path}: missing or damaged ({error})") from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@contextmanager
def damaged(what: Path | str) -> Iterator[None]:
    """Turn what goes wrong in using a file's content into a DataError that names the file.

    Raises:
        DataError: A field is missing, of another kind, out of range ...
    """
    try:
        yield
    except DataError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{what}: damaged or not as this version writes it ({reason:.300})") from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it on success and removed on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, but it does not parse ({error})") from error


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Say which file could not be written, and what to do, in one line.

    Raises:
        OSError: Disk full, unwritable folder ...
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"{path}: cannot be written ({reason}); free some space or choose another folder") from error
