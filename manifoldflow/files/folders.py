"""Folders of results: written whole or not at all, never over something else, and resumed where that pays."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError
from .locks import locked
from .writing import AGAIN, check_file, read_json, write_json, writing

__all__ = [
    "MARKER",
    "check_recorded",
    "check_replaceable",
    "growing_folder",
    "is_sound",
    "new_folder",
    "read_marker",
    "resumable_folder",
    "unfinished",
]

MARKER = "manifoldflow.json"
"""The file by which a folder shows that it was written by this library, and by which command."""


def read_marker(folder: Path) -> Any:
    """What the marker of an output that is to be written or continued says; None if it has none.

    Raises:
        DataError: It is damaged; says what to remove.
    """
    if not (folder / MARKER).is_file():
        return None
    try:
        return read_json(folder / MARKER)
    except DataError as error:
        raise DataError(f"--out: {error.args[0].partition('; ')[0]}; remove {folder} to begin anew") from error


def check_replaceable(out: Path, command: str) -> None:
    """Only what the same command wrote, and nothing that was put there since, may be replaced.

    Raises:
        DataError: `out` holds something else, or is no folder.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise DataError(f"--out: {out} exists and is not a folder; choose another name")
    found = {path.name for path in out.iterdir()} if out.exists() else set()
    if not found:
        return
    record = read_marker(out)
    written = record.get("entries") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(written, list):
        what = "files that manifoldflow did not write"
    elif record.get("command") != command:
        what = f"the output of 'manifoldflow {record.get('command')}'"
    elif foreign := sorted(found.difference(written)):
        what = f"more than 'manifoldflow {command}' wrote there ({', '.join(foreign)})"
    else:
        return
    raise DataError(f"--out: {out} already holds {what}; choose another folder or remove it first")


def _make(folder: Path, out: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out: {out} cannot be written ({error.strerror}); choose another folder") from error


def _finish(folder: Path, out: Path, command: str, description: dict[str, Any]) -> None:
    """Mark the finished folder and move it to its place; an older one gives way only once that is done."""
    entries = sorted({MARKER, *(path.name for path in folder.iterdir())})
    sums = {path.relative_to(folder).as_posix(): _sum_of(path) for path in sorted(folder.rglob("*.csv"))}
    write_json(folder / MARKER, {"command": command, "entries": entries, "sums": sums, **description})
    check_replaceable(out, command)  # it may have been filled while we worked
    if not out.exists():
        os.replace(folder, out)
        return
    aside = out.parent / f".{out.name}.replaced-{secrets.token_hex(4)}"
    os.replace(out, aside)
    try:
        os.replace(folder, out)
    except BaseException:
        os.replace(aside, out)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_recorded(folder: Path, name: str) -> None:
    """Raise if a table in a folder, CSV, is not as the folder's record says; older records say nothing about it.

    Raises:
        DataError: It is missing, or has changed.
    """
    record = read_json(folder / MARKER)
    sums = record.get("sums") if isinstance(record, dict) else None
    if not isinstance(sums, dict):
        return
    path = folder / name
    check_file(path)
    if sums.get(name) != _sum_of(path):
        raise DataError(f"{path}: damaged: its SHA-256 is not the one recorded when it was written; {AGAIN}")


@contextmanager
def new_folder(out: Path, command: str, description: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder that becomes `out` on success; on failure nothing is left behind.

    An existing `out` is replaced only if the same command wrote all that it holds. The marker file
    with `description` (settings, seed, versions) is written into it.

    Raises:
        DataError: `out` holds something else, cannot be written, or another run is writing it.
        OSError: The disk is full.
    """
    out = Path(out)
    check_replaceable(out, command)
    folder = out.parent / f".{out.name}.partial-{secrets.token_hex(4)}"
    with locked(out), writing(out):
        _make(folder, out)
        try:
            yield folder
            _finish(folder, out, command, description)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def growing_folder(out: Path, command: str, settings: dict[str, Any]) -> Path:
    """A folder that a command fills over several runs with the same settings; made and marked if it is new.

    Raises:
        DataError: It holds something else, was begun with other settings (they are named), or cannot be written.
    """
    out = Path(out)
    marker = out / MARKER
    record = read_marker(out)
    if isinstance(record, dict) and record.get("command") == command:
        before = record.get("settings")
        if before != settings:
            known = before if isinstance(before, dict) else {}
            differing = sorted(key for key in {*known, *settings} if known.get(key) != settings.get(key))
            raise DataError(
                f"--out: {out} was begun with other settings ({', '.join(differing)}); give the same, or another folder"
            )
        return out
    check_replaceable(out, command)
    _make(out, out)
    write_json(marker, {"command": command, "entries": [], "settings": settings})
    return out


def is_sound(path: Path, read: Callable[[Path], object], say: Callable[[str], None]) -> bool:
    """Whether an intermediate result is there and can be read; a damaged one is removed, so that it is made anew.

    Args:
        path: File or folder.
        read: Reads it; raises DataError if it is damaged.
        say: Called with a line if it is.
    """
    if not path.exists():
        return False
    try:
        read(path)
    except DataError as error:
        say(f"{path.name} is damaged and is made anew ({error})")
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        return False
    return True


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
        DataError: There is nothing to resume, something that a new run would destroy, or another run is writing it.
        OSError: The disk is full.
    """
    out, folder = Path(out), unfinished(out)
    check_replaceable(out, command)
    with locked(out), writing(out):
        _begin(folder, out, command, description, resume=resume, keep=keep)
        try:
            yield folder
            _finish(folder, out, command, description)
        finally:
            if not (folder.exists() and keep(folder)):
                shutil.rmtree(folder, ignore_errors=True)


def _begin(
    folder: Path, out: Path, command: str, description: dict[str, Any], *, resume: bool, keep: Callable[[Path], bool]
) -> None:
    """Make or find the folder of an unfinished run.

    Raises:
        DataError: As `resumable_folder`.
    """
    if resume and not folder.is_dir():
        raise DataError(f"--resume: there is no unfinished run of {out}; start it without --resume")
    if not resume:
        if folder.exists() and keep(folder):
            raise DataError(f"--out: {out} has an unfinished run; continue it with --resume, or remove {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, out)
        write_json(folder / MARKER, {"command": f"{command} (unfinished)", **description})
