"""Writing files whole or not at all, and reading JSON with errors that name the file."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DataError

__all__ = [
    "MARKER",
    "atomic_path",
    "new_folder",
    "read_json",
    "resumable_folder",
    "unfinished",
    "write_json",
    "write_text",
]

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


def _make(folder: Path, out: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"--out: {out} cannot be written ({error.strerror}); choose another folder") from error


def _finish(folder: Path, out: Path, command: str, description: dict[str, Any]) -> None:
    """Mark the finished folder and move it to its place."""
    write_json(folder / MARKER, {"command": command, **description})
    _check_replaceable(out, command)  # it may have been filled while we worked
    if out.exists():
        shutil.rmtree(out)
    os.replace(folder, out)


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
    temporary = out.parent / f".{out.name}.partial-{secrets.token_hex(4)}"
    _make(temporary, out)
    try:
        yield temporary
        _finish(temporary, out, command, description)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def unfinished(out: Path) -> Path:
    """Where a resumable command keeps what it has done so far of `out`."""
    return Path(out).parent / f".{Path(out).name}.unfinished"


@contextmanager
def resumable_folder(
    out: Path, command: str, description: dict[str, Any], *, resume: bool, keep: Callable[[Path], bool]
) -> Iterator[Path]:
    """Like `new_folder`, but what is worth keeping outlives a failure, a kill or an interruption.

    Args:
        out: The folder to be.
        command: Who writes it.
        description: For the marker; also written at the start, for a later resumption to read.
        resume: Continue in the folder that an unfinished run left.
        keep: Whether an unfinished folder is worth resuming; otherwise it is removed.

    Raises:
        DataError: There is nothing to resume, or something that a new run would destroy.
    """
    out, folder = Path(out), unfinished(out)
    _check_replaceable(out, command)
    if resume and not folder.is_dir():
        raise DataError(f"--resume: there is no unfinished run of {out}; start it without --resume")
    if not resume:
        if folder.exists() and keep(folder):
            raise DataError(f"--out: {out} has an unfinished run; continue it with --resume, or remove {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, out)
        write_json(folder / MARKER, {"command": f"{command} (unfinished)", **description})
    try:
        yield folder
        _finish(folder, out, command, description)
    finally:
        if folder.exists() and not keep(folder):
            shutil.rmtree(folder)
