"""One run at a time writes an output; what a killed run has left beside it is removed by the next."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from glob import escape
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ..errors import DataError

try:
    import fcntl
except ImportError:  # Windows: runs are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["held", "locked", "locks_out", "remove_stale"]

P = ParamSpec("P")
R = TypeVar("R")


def held(handle: int, path: Path) -> bool:
    """Lock an open file, for as long as it is open; False if another process has it, or has removed it from `path`.

    The operating system gives the lock back when its owner dies, however it dies.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(path))
    return False


def remove_stale(paths: Iterator[Path]) -> None:
    """Remove temporary files that no living process holds."""
    for path in paths:
        if fcntl is None:
            return
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if held(handle, path):
                    path.unlink()
            finally:
                os.close(handle)


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(owner['process'])} on {owner['host']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"


def _acquire(path: Path, out: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if held(handle, path):
            break
        os.close(handle)
        if path.exists():  # otherwise its owner has just finished
            raise DataError(
                f"--out: {out} is being written by {_owner(path)}; wait until it has finished, or choose another folder"
            )
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode())
    return handle


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Be the only run that writes the folder `out`; its missing parents are made, and removed if they stay empty.

    Raises:
        DataError: Another run is writing it, or nothing can be written there.
    """
    out = Path(out)
    path = out.parent / f".{out.name}.lock"
    made = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle = _acquire(path, out)
    except OSError as error:
        raise DataError(f"--out: {out} cannot be written ({error.strerror}); choose another folder") from error
    try:
        _clear(out)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def _clear(out: Path) -> None:
    """Undo what runs that were killed have left beside `out`."""
    if fcntl is None:
        return
    for partial in out.parent.glob(f".{escape(out.name)}.partial-*"):
        shutil.rmtree(partial, ignore_errors=True)
    for replaced in out.parent.glob(f".{escape(out.name)}.replaced-*"):
        if out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
        else:  # killed after it had been moved aside and before the new one was in its place
            os.replace(replaced, out)


def locks_out(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function hold the lock of its argument `out`, the first one, while it runs."""

    @wraps(function)
    def locking(*args: P.args, **kwargs: P.kwargs) -> R:
        out: Any = kwargs["out"] if "out" in kwargs else args[0]
        with locked(Path(out)):
            return function(*args, **kwargs)

    return locking
