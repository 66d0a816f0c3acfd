"""A module's weights as a safetensors file. Loading runs no code of the file."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import DataError
from ..files import atomic_path
from .checkpoint import writing

__all__ = ["load_weights", "save_weights"]


def save_weights(path: Path, module: nn.Module) -> None:
    """Write parameters and buffers in the dtypes that they have, whole or not at all.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    weights = {name: value.detach().contiguous().cpu() for name, value in module.state_dict().items()}
    with writing(path), atomic_path(path) as temporary:
        save_file(weights, temporary)


def load_weights(path: Path, module: nn.Module, description: str, constants: str = "\0") -> None:
    """Load what `save_weights` wrote into a module of the same architecture, which takes over the dtype.

    Args:
        path: The file.
        module: Freshly built from its description.
        description: What that is called in errors.
        constants: Prefix of the names whose values follow from the description, and have to be the module's.

    Raises:
        DataError: Missing or damaged, weights of another architecture, NaN or infinite values, other constants.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file ({error})") from error
    if all(value.dtype == torch.float64 for value in weights.values() if value.is_floating_point()):
        module.double()
    own = module.state_dict()
    expected, found = _kinds(own), _kinds(weights)
    if expected != found:
        name = next(n for n in (*expected, *found) if expected.get(n) != found.get(n))
        raise DataError(
            f"{path}: the weights are those of another architecture than {description} describes: "
            f"{name} expected {_told(expected.get(name))}, got {_told(found.get(name))}"
        )
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise DataError(f"{path}: {name} holds NaN or infinite values")
        if name.startswith(constants) and not torch.equal(value, own[name]):
            raise DataError(f"{path}: {name} is not the one of the base that {description} describes")
    module.load_state_dict(weights)


_Kind = tuple[tuple[int, ...], torch.dtype]


def _kinds(weights: dict[str, Tensor]) -> dict[str, _Kind]:
    return {name: (tuple(value.shape), value.dtype) for name, value in weights.items()}


def _told(kind: _Kind | None) -> str:
    return "nothing" if kind is None else f"{kind[0]} of {kind[1]}"
