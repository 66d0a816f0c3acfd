"""Writing files whole or not at all, and reading JSON with errors that name the file."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DataError

__all__ = ["MARKER", "atomic_path", "new_folder", "read_json", "write_json", "write_text"]

MARKER = "manifoldflow.json"
"""The file by which a folder shows that it was written by this library, and by which command."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it on success and removed on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    os.chmod(name, 0o644)  # mkstemp's 0600 is for secrets
    temporary = Path(name)
    try:
        yield temporary
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
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, but it does not parse ({error})") from error


def _check_replaceable(out: Path, command: str) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise DataError(f"--out: {out} exists and is not a folder; choose another name")
    if not out.exists() or not any(out.iterdir()):
        return
    marker = out / MARKER
    found = read_json(marker).get("command") if marker.is_file() else None
    if found != command:
        what = f"the output of 'manifoldflow {found}'" if found else "files that manifoldflow did not write"
        raise DataError(f"--out: {out} already holds {what}; choose another folder or remove it first")


@contextmanager
def new_folder(out: Path, command: str, description: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder that becomes `out` on success; on failure nothing is left behind.

    An existing `out` is replaced only if the same command wrote it. The marker file with
    `description` (settings, seed, versions) is written into it.

    Raises:
        DataError: `out` holds something else, or cannot be written.
    """
    out = Path(out)
    _check_replaceable(out, command)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-"))
        temporary.chmod(0o755)
    except OSError as error:
        raise DataError(f"--out: {out} cannot be written ({error.strerror}); choose another folder") from error
    try:
        yield temporary
        write_json(temporary / MARKER, {"command": command, **description})
        _check_replaceable(out, command)  # it may have been filled while we worked
        if out.exists():
            shutil.rmtree(out)
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
