"""Progress of a step: a bar in a terminal, a line now and then anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["progress_bar"]

_SECONDS_A_LINE = 10.0
_COLUMNS = 80


@contextmanager
def progress_bar(title: str, total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A function to call after each of `total` parts; on standard error, and silent unless `shown`.

    Where that is no terminal, a line is printed every ten seconds, and at the end of what took longer.
    """
    if not shown:
        yield lambda: None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=title, leave=False, ncols=_COLUMNS) as bar:
            yield lambda: bar.update() and None
    else:
        done, started = 0, time.monotonic()
        last = started

        def advance() -> None:
            nonlocal done, last
            done += 1
            now = time.monotonic()
            if now - (started if done == total else last) >= _SECONDS_A_LINE:
                last = now
                print(f"{title}: {done} of {total}", file=sys.stderr, flush=True)

        yield advance
