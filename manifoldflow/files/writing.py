"""Files written whole or not at all, and read with errors that name them."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from . import unpacking
from .locks import held, remove_stale

__all__ = [
    "atomic_path",
    "check_file",
    "damaged",
    "read_json",
    "read_npz",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_SEAL = "seal"
AGAIN = "copy it again from where it was written, or run the command that wrote it again"
_RANDOM = "[a-z0-9_]{8}"
"""What tempfile puts into a name."""


def check_file(path: Path) -> None:
    """Raise unless `path` is a regular file: to open a named pipe would wait for ever.

    Raises:
        DataError: There is none, or something else.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise DataError(f"{path}: expected a file, found {kind}; copy its content to a file first")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file that a command of this library wrote; nothing in it is unpickled.

    Raises:
        DataError: The file is missing, damaged, holds pickled objects, or would unpack to far more than it is.
    """
    check_file(path)
    try:
        return unpacking.read_npz(Path(path))
    except Exception as error:  # numpy raises whatever the zip and npy parsers meet
        raise DataError(f"{path}: damaged ({error}); {AGAIN}") from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@contextmanager
def damaged(what: Path | str, remedy: str = "") -> Iterator[None]:
    """Turn what goes wrong in using a file's content into a DataError that names the file, and the `remedy` if given.

    Raises:
        DataError: A field is missing, of another kind, out of range ...
    """
    try:
        yield
    except DataError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        end = f"; {remedy}" if remedy else ""
        raise DataError(f"{what}: damaged or not as this version writes it ({reason:.300}){end}") from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it on success and removed on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_RANDOM}{re.escape(path.suffix)}")
    others = path.parent.glob(f".{escape(path.name)}.*{escape(path.suffix)}")
    remove_stale(other for other in others if pattern.fullmatch(other.name))
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        temporary = Path(name)
        if held(handle, temporary):
            break
        os.close(handle)  # another process has just taken it for a stale one
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes, whole or not at all, and through to the disk.

    Raises:
        OSError: As `writing`.
    """
    with writing(path, len(content)), atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all.

    Raises:
        OSError: As `writing`.
    """
    content = text.encode()
    with writing(path, len(content)), atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _seal_of(content: dict[str, Any]) -> str:
    """SHA-256 of fields as JSON has them, which knows no tuples and no keys but texts."""
    plain = json.loads(json.dumps({name: value for name, value in content.items() if name != _SEAL}, allow_nan=False))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; an object gets a seal, by which `read_json` sees changes.

    Raises:
        OSError: As `writing`.
    """
    if isinstance(value, dict):
        value = {**value, _SEAL: _seal_of(value)}
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


def read_json(path: Path) -> Any:
    """Parse a JSON file; NaN and Infinity, which JSON does not have, are refused.

    The seal of an object, which older files lack, is checked and left out.

    Raises:
        DataError: The file is missing, unreadable, not JSON, or not as it was written.
    """
    check_file(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, but it does not parse ({error}); {AGAIN}") from error
    if isinstance(content, dict) and content.get(_SEAL, seal := _seal_of(content)) != seal:
        raise DataError(f"{path}: damaged: its content is not what its seal was made of; {AGAIN}")
    return {name: value for name, value in content.items() if name != _SEAL} if isinstance(content, dict) else content


@contextmanager
def writing(path: Path | str, needed: int | None = None) -> Iterator[None]:
    """Say which file could not be written, why, and what to do, in one line; `needed` is its size in bytes, if known.

    Raises:
        OSError: A full disk, or a folder that is read-only.
    """
    try:
        yield
    except OSError as error:
        forbidden = error.errno in _FORBIDDEN and _is_inside(error.filename, Path(path).parent)
        if error.errno not in _FULL and not forbidden:
            raise  # not about what is written
        where = error.filename or path
        reason = error.strerror or str(error)
        if forbidden:
            remedy = "make it writable or choose another folder, and run the same command again"
        else:
            need = "" if needed is None else f"{_size(needed)} needed, "
            reason = f"{reason}: {need}{_size(_free(Path(path)))} free"
            remedy = "free some space and run the same command again"
        raise OSError(f"{where}: cannot be written ({reason}); {remedy}; nothing is lost") from error


def _is_inside(name: str | None, folder: Path) -> bool:
    if name is None:
        return True
    path = Path(name).absolute()
    return folder.absolute() in (path, *path.parents)


def _free(path: Path) -> int:
    """Free space in the innermost folder of `path` that exists."""
    folder = next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())
    return shutil.disk_usage(folder).free


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1e6:,.2f} MB"
