"""VAE, WAE and DCGAN from a description of plain values, and on disk: safetensors and JSON, no code."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import DataError
from ..files import read_json, write_json
from ..flows import make_base
from ..models import DCGAN, VAE, WAE
from .checkpoint import writing
from .weights import load_weights, save_weights

__all__ = ["ModelDescription", "SavedModel", "build_model", "load_model", "save_model"]

_WEIGHTS, _DESCRIPTION = "model.safetensors", "model.json"
_LARGEST = 65536
_KINDS: dict[str, type[nn.Module]] = {"vae": VAE, "wae": WAE, "dcgan": DCGAN}
_OWN_OPTIONS = {"vae": ("hidden",), "wae": ("penalty",), "dcgan": ()}


@dataclass(frozen=True)
class ModelDescription:
    """Everything that fixes the architecture of a model of images; its weights come on top.

    Args:
        kind: "vae", "wae" or "dcgan".
        shape: (c, h, w) of the images.
        latent_dim: d: latents have d coordinates, and d + 1 on the sphere and the simplex.
        prior: A name in `flows.BASES`: "gaussian", "vmf" or "dirichlet".
        prior_parameter: The prior's parameter, None for its default.
        channels: Of the widest resolution.
        hidden: Width of a VAE's hidden layer; the others have none.
        penalty: A WAE's weight of the discrepancy; the others have none.

    Raises:
        ValueError: A field is out of range.
    """

    kind: str
    shape: tuple[int, int, int]
    latent_dim: int = 20
    prior: str = "gaussian"
    prior_parameter: float | None = None
    channels: int = 32
    hidden: int = 128
    penalty: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind: expected one of {', '.join(_KINDS)}, got {self.kind!r}")
        if not isinstance(self.shape, tuple) or len(self.shape) != 3:
            raise ValueError(f"shape: expected (c, h, w), got {self.shape!r:.100}")
        numbers = {"latent_dim": self.latent_dim, "channels": self.channels, "hidden": self.hidden}
        for name, value in {**numbers, **{f"shape[{i}]": n for i, n in enumerate(self.shape)}}.items():
            if type(value) is not int or not 1 <= value <= _LARGEST:
                raise ValueError(f"{name}: expected an integer from 1 to {_LARGEST}, got {value!r:.100}")
        if not isinstance(self.penalty, int | float) or not 0 < self.penalty < float("inf"):
            raise ValueError(f"penalty: expected a positive finite number, got {self.penalty!r:.100}")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, fields: Any) -> "ModelDescription":
        """The inverse of `to_json`.

        Raises:
            ValueError: A field is missing, unknown or of the wrong kind.
        """
        names = set(cls.__dataclass_fields__)
        if not isinstance(fields, dict) or set(fields) != names or not isinstance(fields["shape"], list):
            raise ValueError(f"model description: expected the fields {sorted(names)}, got {fields!r:.200}")
        return cls(**{**fields, "shape": tuple(fields["shape"])})


@dataclass(frozen=True)
class SavedModel:
    """A model as it was saved.

    Args:
        model: A VAE, WAE or DCGAN, in eval mode, on the CPU.
        description: Its architecture.
        training: What was recorded of its training.
    """

    model: nn.Module
    description: ModelDescription
    training: dict[str, Any]


def build_model(description: ModelDescription) -> nn.Module:
    """A freshly initialised model; torch's generator decides the weights."""
    _, prior, _ = make_base(description.prior, description.latent_dim, description.prior_parameter)
    options = {name: getattr(description, name) for name in ("channels", *_OWN_OPTIONS[description.kind])}
    return _KINDS[description.kind](description.shape, prior=prior, **options)


def save_model(folder: Path, saved: SavedModel) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder, each whole or not at all.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    folder = Path(folder)
    save_weights(folder / _WEIGHTS, saved.model)
    with writing(folder / _DESCRIPTION):
        write_json(folder / _DESCRIPTION, {"model": saved.description.to_json(), "training": saved.training})


def load_model(folder: Path) -> SavedModel:
    """Read what `save_model` wrote.

    Raises:
        DataError: A file is missing, damaged, or the weights are those of another architecture.
    """
    folder = Path(folder)
    if not (folder / _DESCRIPTION).is_file():
        raise DataError(f"model: {folder} holds no {_DESCRIPTION}; give a folder that save_model wrote")
    content = read_json(folder / _DESCRIPTION)
    if not isinstance(content, dict):
        raise DataError(f"{folder / _DESCRIPTION}: expected the fields model and training")
    try:
        description = ModelDescription.from_json(content.get("model"))
        with torch.random.fork_rng(devices=[]):
            model = build_model(description)
    except (TypeError, ValueError) as error:
        raise DataError(f"{folder / _DESCRIPTION}: {error}") from error
    load_weights(folder / _WEIGHTS, model, _DESCRIPTION)
    return SavedModel(model.eval(), description, content.get("training") or {})
