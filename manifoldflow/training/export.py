"""Models on disk: weights as safetensors, everything else as JSON. Loading runs no code of the file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError
from ..files import read_json, write_json
from ..flows import FlowDescription, ManifoldFlow, build_flow
from .checkpoint import writing
from .weights import load_weights, save_weights

__all__ = ["SavedFlow", "load_flow", "save_flow", "weights_sha256"]

_WEIGHTS, _DESCRIPTION = "flow.safetensors", "flow.json"
_SLACK = 1 << 20


@dataclass(frozen=True)
class SavedFlow:
    """A flow as it was saved.

    Args:
        flow: In eval mode, on the CPU.
        description: Its architecture.
        levels: Number of values a pixel of its training data can take.
        training: What was recorded of its training.
    """

    flow: ManifoldFlow
    description: FlowDescription
    levels: int
    training: dict[str, Any]


def save_flow(folder: Path, saved: SavedFlow) -> None:
    """Write `flow.safetensors` and `flow.json` into an existing folder, each whole or not at all.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    folder = Path(folder)
    save_weights(folder / _WEIGHTS, saved.flow)
    content = {"flow": saved.description.to_json(), "levels": saved.levels, "training": saved.training}
    with writing(folder / _DESCRIPTION):
        write_json(folder / _DESCRIPTION, content)


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a saved flow's weights, by which others say which model they mean.

    Raises:
        DataError: The weights cannot be read.
    """
    path = Path(folder) / _WEIGHTS
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def load_flow(folder: Path) -> SavedFlow:
    """Read what `save_flow` wrote.

    Raises:
        DataError: A file is missing, damaged, or the weights are those of another architecture.
    """
    folder = Path(folder)
    if not (folder / _DESCRIPTION).is_file():
        raise DataError(f"model: {folder} holds no {_DESCRIPTION}; give the folder that 'manifoldflow train' wrote")
    content = read_json(folder / _DESCRIPTION)
    if not isinstance(content, dict) or type(content.get("levels")) is not int or not 2 <= content["levels"] <= 256:
        raise DataError(f"{folder / _DESCRIPTION}: expected the fields flow, levels (2 to 256) and training")
    try:
        description = FlowDescription.from_json(content.get("flow"))
        _check_size(folder, description)  # before memory is asked for
        with torch.random.fork_rng(devices=[]):
            flow = build_flow(description)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{folder / _DESCRIPTION}: {error}") from error
    load_weights(folder / _WEIGHTS, flow, _DESCRIPTION, constants="base_")
    return SavedFlow(flow.eval(), description, content["levels"], content.get("training") or {})


def _check_size(folder: Path, description: FlowDescription) -> None:
    """Refuse a description of a flow that is far larger than the weights beside it."""
    path = folder / _WEIGHTS
    if path.is_file() and description.least_parameters > path.stat().st_size + _SLACK:
        raise DataError(
            f"{path}: the weights are those of another architecture, far smaller than {_DESCRIPTION} describes"
        )
