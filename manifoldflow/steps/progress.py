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

    Where that is no terminal, a line is printed after the first part, then at most every ten seconds, and at the end.
    """
    if not shown:
        yield lambda: None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=title, leave=False, ncols=_COLUMNS) as bar:
            yield lambda: bar.update() and None
    else:
        done, last = 0, 0.0

        def advance() -> None:
            nonlocal done, last
            done += 1
            if done == total or time.monotonic() - last >= _SECONDS_A_LINE:
                last = time.monotonic()
                print(f"{title}: {done} of {total}", file=sys.stderr, flush=True)

        yield advance
