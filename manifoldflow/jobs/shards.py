"""Finished blocks of rows on disk, each whole or not there; put together in row order in bounded memory."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError
from ..files import atomic_path, write_json
from .rows import Field, RowResults

__all__ = ["Block", "blocks_of", "has_shards", "is_merged", "merge", "pending", "remove_shards", "write_shard"]

Block = tuple[int, int]
"""First and last row, both included."""

SHARDS, SUMMARY = "shards", "summary.json"

_REASONS = "reasons"


def blocks_of(rows: int, chunk: int) -> list[Block]:
    """Rows 0 to `rows` - 1 in blocks of `chunk`, of which only the last may be smaller."""
    return [(first, min(first + chunk, rows) - 1) for first in range(0, rows, chunk)]


def _path(folder: Path, block: Block) -> Path:
    return folder / SHARDS / f"part-{block[0]:09d}-{block[1]:09d}.npz"


def has_shards(folder: Path) -> bool:
    """Whether anything was finished in `folder`."""
    return is_merged(folder) or any((folder / SHARDS).glob("part-*.npz"))


def is_merged(folder: Path) -> bool:
    """Whether all rows are together in `folder`."""
    return (folder / SUMMARY).is_file()


def write_shard(folder: Path, block: Block, results: RowResults) -> None:
    """Write the results of a block into the existing folder of shards.

    Raises:
        OSError: The folder is gone, as after another run of the same job has put the rows together; or a full disk.
    """
    path = _path(folder, block)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is gone: another run has finished this job, or it was removed")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        arrays = {**results.arrays, _REASONS: np.array(results.reasons, dtype=np.str_)}
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy types the keywords as bool


def pending(folder: Path, blocks: list[Block], fields: dict[str, Field]) -> list[Block]:
    """The blocks without a whole shard; a truncated one counts as none."""
    names = {f"{name}.npy" for name in (*fields, _REASONS)}
    return [block for block in blocks if not _is_whole(_path(folder, block), names)]


def _is_whole(path: Path, names: set[str]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:  # its directory stands at the end
            return set(archive.namelist()) == names
    except (OSError, zipfile.BadZipFile):
        return False


@contextmanager
def _growing_npy(path: Path, field: Field, rows: int) -> Iterator[BinaryIO]:
    """An .npy file of `rows` rows to append to: a memory map's pages would count as this process's memory."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        descr = np.lib.format.dtype_to_descr(np.dtype(field.dtype))
        header = {"descr": descr, "fortran_order": False, "shape": (rows, *field.shape)}
        np.lib.format.write_array_header_1_0(file, header)
        yield file


def merge(folder: Path, blocks: list[Block], fields: dict[str, Field]) -> None:
    """Put all shards together: <field>.npy for each field, failed.npy and summary.json; then remove the shards.

    In memory is one array of one shard at a time. Until summary.json is written, the shards stay.

    Args:
        folder: Of the job.
        blocks: All rows, in order.
        fields: What each shard holds.

    Raises:
        DataError: A shard is missing or damaged; a damaged one is removed, so that the next run computes it anew.
    """
    for stale in folder.glob(".*"):  # of a run that was killed at this
        stale.unlink()
    rows = blocks[-1][1] + 1
    for name, field in fields.items():
        with _growing_npy(folder / f"{name}.npy", field, rows) as file:
            for block in blocks:
                file.write(_read(folder, block, name, field).tobytes())
    failed = []
    for block in blocks:
        reasons = _read(folder, block, _REASONS, None).tolist()
        failed += [{"row": block[0] + i, "reason": reason} for i, reason in enumerate(reasons) if reason]
    with _growing_npy(folder / "failed.npy", Field((), "bool"), rows) as file:
        mask = np.zeros(rows, bool)
        mask[[entry["row"] for entry in failed]] = True
        file.write(mask.tobytes())
    write_json(folder / SUMMARY, {"rows": rows, "failed": failed})
    remove_shards(folder)


def remove_shards(folder: Path) -> None:
    """Remove what `merge` has put together; none may be left."""
    shutil.rmtree(folder / SHARDS, ignore_errors=True)


def _read(folder: Path, block: Block, name: str, field: Field | None) -> np.ndarray:
    """One array of a shard; of the shape and type of `field` if given."""
    path = _path(folder, block)
    count = block[1] - block[0] + 1
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            array: np.ndarray = content[name]
        if array.shape != (count, *(field.shape if field else ())) or (field and array.dtype != field.dtype):
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the same command again to compute its rows") from None
    except (EOFError, LookupError, ValueError, zipfile.BadZipFile) as error:
        path.unlink()
        raise DataError(
            f"{path}: damaged ({error}) and removed; run the same command again to compute its rows anew"
        ) from error
    return array
