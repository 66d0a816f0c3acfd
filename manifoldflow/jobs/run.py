"""Run a job over a file of end points: spread, resumable, merged in the order of the rows."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from ..errors import DataError
from ..files import MARKER, check_replaceable, damaged, read_json, read_marker, resumable_folder, unfinished
from ..training import Placement
from ..training.placement import all_or_none, interruptible, new_trainer, quiet_lightning
from .end_points import EndPoints
from .predict import RowModule, ShardWriter
from .rows import RowSolver
from .shards import SHARDS, SUMMARY, blocks_of, has_shards, is_merged, merge, pending, remove_shards

__all__ = ["Job", "run_job"]

_GO_ON = "what is finished is kept: run the same command again to go on"


def _nothing(folder: Path) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Job:
    """What is computed.

    Args:
        command: Whose output folder it makes.
        settings: Plain values that decide the results: an unfinished run is continued only with the same ones.
        record: What the marker file says beside them.
        ends: The rows.
        chunk: Rows solved at once; they bound the memory.
        solver: Solves them.
        network: Of the features, so that it moves with the flow; None for none.
        prepare: Called with the folder by the first process before the others start.
        load: Called with the folder by every process after that.
        summarise: Called with the folder once all arrays are together; gives plain values for the record's result.
    """

    command: str
    settings: dict[str, Any]
    record: dict[str, Any]
    ends: EndPoints
    chunk: int
    solver: RowSolver
    network: nn.Module | None = None
    prepare: Callable[[Path], object] = _nothing
    load: Callable[[Path], object] = _nothing
    summarise: Callable[[Path], dict[str, Any]] = _nothing


def run_job(job: Job, out: Path, placement: Placement | None = None, *, progress: bool = True) -> dict[str, Any] | None:
    """Solve all rows and write <field>.npy for each of the solver's fields, failed.npy and summary.json to `out`.

    Finished blocks are kept beside `out` until all are there, each whole or not at all: a run that was killed, with the
    same job run again, loses no more than the block that each process was at. Where and by how many processes a block
    is solved does not change it, on one kind of device and with one number of threads a process.

    Args:
        job: What to compute.
        out: New folder; the finished output of the same job is left as it is.
        placement: Where; None for this machine.
        progress: Show a progress bar.

    Returns:
        The record, in the process that wrote `out`; None in the others, which Lightning starts with the same command.

    Raises:
        DataError: `out` holds something else, or an unfinished job with other settings; a shard was damaged.
        ChildProcessError: Another process of the job has ended.
        InterruptedError, KeyboardInterrupt: The job was stopped.
    """
    out, placement = Path(out), placement or Placement()
    folder, blocks, fields = unfinished(out), blocks_of(job.ends.rows, job.chunk), job.solver.fields
    trainer = _trainer(placement, folder, progress=progress)
    module = RowModule(job.solver, job.network, job.load, job.ends, blocks, folder)
    finished = _finished(out, job)
    if finished is not None:
        return finished if trainer.is_global_zero else None
    check_replaceable(out, job.command)
    resume = _is_resumable(folder, job, out)
    if not trainer.is_global_zero:
        _predict(trainer, module)
        return None
    record: dict[str, Any] = {"settings": job.settings, **job.record}
    with resumable_folder(out, job.command, record, resume=resume, keep=has_shards) as folder:
        merged = is_merged(folder)
        if not merged:
            (folder / SHARDS).mkdir(exist_ok=True)
            job.prepare(folder)
        # Other processes that are already there wait for this one, also where nothing is left to solve.
        if trainer.world_size > 1 or (not merged and pending(folder, blocks, fields)):
            _predict(trainer, module)
        if not merged:
            merge(folder, blocks, fields)
        remove_shards(folder)
        summary = read_json(folder / SUMMARY)
        record["result"] = {"rows": summary["rows"], "failed": len(summary["failed"]), **job.summarise(folder)}
    return {"command": job.command, **record}


def _trainer(placement: Placement, folder: Path, *, progress: bool) -> L.Trainer:
    with quiet_lightning():
        return new_trainer(
            placement,
            callbacks=[ShardWriter(folder)],
            inference_mode=False,  # optimised paths need gradients
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            default_root_dir=folder,
        )


def _predict(trainer: L.Trainer, module: RowModule) -> None:
    try:
        with (
            quiet_lightning(),
            interruptible(trainer, "solving"),
            all_or_none(trainer),
            torch.random.fork_rng(devices=[]),  # data loaders draw from the caller's generator otherwise
        ):
            trainer.predict(module, return_predictions=False)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; {_GO_ON}") from None
    except (InterruptedError, ChildProcessError) as error:
        raise type(error)(f"{error}; {_GO_ON}") from error


def _finished(out: Path, job: Job) -> dict[str, Any] | None:
    """The record of the same job's output, None if there is no output of this command."""
    record = read_marker(out)
    if not isinstance(record, dict) or record.get("command") != job.command:
        return None  # `resumable_folder` says what it is
    _check_same(record.get("settings"), job, f"{out} is the output", f"choose another folder or remove {out}")
    with damaged(out / MARKER):
        missing = [name for name in record["entries"] if not (out / name).exists()]
        if missing or not isinstance(record["result"], dict):
            raise DataError(f"--out: {out} lacks {', '.join(missing) or 'its result'}; remove it to compute it anew")
    try:
        read_json(out / SUMMARY)
    except DataError as error:
        raise DataError(f"--out: {error.args[0].partition('; ')[0]}; remove {out} to compute it anew") from error
    return {name: value for name, value in record.items() if name not in ("entries", "sums")}


def _is_resumable(folder: Path, job: Job, out: Path) -> bool:
    """Whether an unfinished run of the same job left something."""
    if not folder.is_dir() or not has_shards(folder):
        return False
    record = read_marker(folder)
    settings = record.get("settings") if isinstance(record, dict) else None
    _check_same(settings, job, f"{out} has an unfinished run", f"give what it had, or remove {folder}")
    return True


def _check_same(found: Any, job: Job, what: str, remedy: str) -> None:
    wanted = json.loads(json.dumps(job.settings))
    found = found if isinstance(found, dict) else {}
    for name in {**wanted, **found}:
        if found.get(name) != wanted.get(name):
            raise DataError(f"{name}: {what} with {found.get(name)!r:.100}, got {wanted.get(name)!r:.100}; {remedy}")
