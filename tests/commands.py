"""Commands in processes of their own, forked from one that has imported the library, so that no test waits for that."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

__all__ = ["start_command"]


def start_command(arguments, errors=os.devnull, before=None):
    """`manifoldflow` with these arguments, one torch thread and its standard error in a file; a started `Process`.

    `before`, a function that can be pickled, is called in the process first.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["manifoldflow.cli", "manifoldflow.steps", "manifoldflow.experiments"])
    process = context.Process(target=_main, args=([str(argument) for argument in arguments], str(errors), before))
    process.start()
    return process


def _main(arguments, errors, before):
    import torch

    from manifoldflow.__main__ import main

    with Path(errors).open("w") as file:
        os.dup2(file.fileno(), 2)
    # Where the tests run in the background, children would inherit that the signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    if before is not None:
        before()
    sys.argv = ["manifoldflow", *arguments]
    main()
