"""Checkpoints that are written whole or not at all."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ..errors import DataError
from ..files import check_file, write_bytes
from ..files.unpacking import check_zip

__all__ = ["BEST", "CHECKPOINTS", "LAST", "WholeCheckpoints", "read_checkpoint"]

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints inside a training's folder: `best.ckpt` (weights) and `last.ckpt` (to resume from)."""
BEST, LAST = "best", "last"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old checkpoint and renames.

    Lightning's own writes to the system's temporary folder and moves the file from there, which
    copies where that is another file system: a kill or a full disk then leaves half a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `path`.

        Raises:
            OSError: Disk full, unwritable folder ...; names the file; what stood there before is intact.
        """
        content = io.BytesIO()  # torch.save reports what goes wrong on a disk as a RuntimeError without its reason
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getbuffer())

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        """Read `path` as `read_checkpoint` does, on the CPU.

        Raises:
            DataError: It is missing, damaged, or holds more than tensors and plain values.
        """
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content on the CPU; nothing in it is executed.

    Raises:
        DataError: It is missing, damaged (by its checksums), holds more than tensors and plain values, or would unpack
            to far more than it is.
    """
    check_file(path)
    try:
        check_zip(path)
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums it writes
            if broken := archive.testzip():
                raise ValueError(f"the checksum of {broken} is wrong")
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises what its parsers and its unpickler meet, in many lines
        reason = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise DataError(
            f"{path}: not a readable checkpoint ({reason:.200}); nothing in it was executed; train again without it"
        ) from error
