"""Paths and samples of bridges in files: plain arrays, never pickled objects."""

import json
import os
from pathlib import Path as File
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...checks import as_tensor
from .path import Path, Polyline

__all__ = ["load_path", "save_path"]

_FORMAT = "manifoldflow-path-1"


def save_path(
    path: Path | Any, file: str | os.PathLike[str], *, times: Tensor | None = None, event_dim: int = 1, **notes: Any
) -> None:
    """Write a path, or a sample of a bridge, as the points at some times.

    Args:
        path: A path, or points `(*batch, m, *event)` at `times`, tensor or array.
        file: Where to write; the suffix must be .npz. An existing file is replaced only once the new one is complete.
        times: Strictly increasing times `(m,)` from 0 to 1; for a path, None stands for the nodes of a polyline, or 65
            equally spaced ones.
        event_dim: Number of dimensions of one point, if `path` is not a `Path`.
        notes: What else to keep: anything that JSON can hold, such as the method and the seed.

    Raises:
        ValueError: Another suffix, times that do not fit, or notes that JSON cannot hold.
    """
    target = File(file)
    if target.suffix != ".npz":
        raise ValueError(f"file: expected a name that ends in .npz, got {target.name!r}")
    if isinstance(path, Path):
        if times is None:
            times = path.nodes if isinstance(path, Polyline) else torch.linspace(0, 1, 65)
        points, event_dim = path(times), path.event_dim
    else:
        points = as_tensor("path", path)
    stored = Polyline(points.detach(), times, event_dim=event_dim)
    try:
        header = json.dumps({"format": _FORMAT, "event_dim": event_dim, "notes": notes})
    except (TypeError, ValueError) as error:
        raise ValueError(f"notes: expected what JSON can hold, got others ({error}); convert them first") from error
    half_done = target.with_name(target.name + ".partial.npz")
    np.savez(half_done, points=stored.points.cpu().numpy(), times=stored.nodes.cpu().numpy(), header=np.array(header))
    half_done.replace(target)


def load_path(file: str | os.PathLike[str]) -> tuple[Polyline, dict[str, Any]]:
    """Read what `save_path` wrote: the path, straight between the stored times, and the notes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or was not written by `save_path`.
    """
    try:
        with open(file, "rb") as handle, np.load(handle, allow_pickle=False) as stored:
            points, times, header = stored["points"], stored["times"], json.loads(str(stored["header"]))
        if header["format"] != _FORMAT:
            raise KeyError(header["format"])
        path = Polyline(torch.from_numpy(points), torch.from_numpy(times), event_dim=header["event_dim"])
        return path, header["notes"]
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, numpy, json and Polyline each raise their own
        raise ValueError(f"file: expected a path written by save_path, got {os.fspath(file)!r} ({error})") from error
