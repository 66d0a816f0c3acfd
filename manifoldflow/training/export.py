"""Models on disk: weights as safetensors, everything else as JSON. Loading runs no code of the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import DataError
from ..files import atomic_path, read_json, write_json
from ..flows import FlowDescription, ManifoldFlow, build_flow

__all__ = ["SavedFlow", "load_flow", "save_flow"]

_WEIGHTS, _DESCRIPTION = "flow.safetensors", "flow.json"


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
    """Write `flow.safetensors` and `flow.json` into an existing folder, each whole or not at all."""
    folder = Path(folder)
    weights = {name: value.detach().contiguous().cpu() for name, value in saved.flow.state_dict().items()}
    with atomic_path(folder / _WEIGHTS) as temporary:
        save_file(weights, temporary)
    write_json(
        folder / _DESCRIPTION,
        {"flow": saved.description.to_json(), "levels": saved.levels, "training": saved.training},
    )


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
        with torch.random.fork_rng(devices=[]):
            flow = build_flow(description)
    except ValueError as error:
        raise DataError(f"{folder / _DESCRIPTION}: {error}") from error
    path = folder / _WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file ({error})") from error
    expected = {name: tuple(value.shape) for name, value in flow.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        name = next(n for n in (*expected, *found) if expected.get(n) != found.get(n))
        raise DataError(
            f"{path}: the weights are those of another architecture than {_DESCRIPTION} describes: "
            f"{name} expected {expected.get(name)}, got {found.get(name)}"
        )
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise DataError(f"{path}: {name} holds NaN or infinite values")
        if name.startswith("base_") and not torch.equal(value, flow.state_dict()[name]):
            raise DataError(f"{path}: {name} is not the one of the base that {_DESCRIPTION} describes")
    flow.load_state_dict(weights)
    return SavedFlow(flow.eval(), description, content["levels"], content.get("training") or {})
