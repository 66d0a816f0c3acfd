"""Models on disk: weights as safetensors, everything else as JSON. Loading runs no code of the file."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..checks import as_path, check_choice, check_integer, check_kind, check_number
from ..errors import DataError
from ..files import check_file, read_json, write_bytes, write_json
from ..flows import BASES, FlowDescription, ManifoldFlow, build_flow, make_base
from ..models import DCGAN, VAE, WAE

__all__ = [
    "ModelDescription",
    "SavedFlow",
    "SavedModel",
    "build_model",
    "load_flow",
    "load_model",
    "load_weights",
    "save_flow",
    "save_model",
    "save_weights",
    "sum_of",
    "weights_sha256",
]

_FLOW_WEIGHTS, _FLOW = "flow.safetensors", "flow.json"
MODEL_WEIGHTS, _MODEL = "model.safetensors", "model.json"
POINTS = "points.json"
"""The description of a model of points, see `point_models`."""
_SUM = "sha256"
AGAIN = "copy it again from where it was written, or train again"
_SLACK = 1 << 20
_LARGEST = 65536
_KINDS: dict[str, type[nn.Module]] = {"vae": VAE, "wae": WAE, "dcgan": DCGAN}
_OWN_OPTIONS = {"vae": ("hidden",), "wae": ("penalty",), "dcgan": ()}


def save_weights(path: Path, module: nn.Module) -> None:
    """Write parameters and buffers in the dtypes that they have, whole or not at all.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    weights = {name: value.detach().contiguous().cpu() for name, value in module.state_dict().items()}
    # safetensors' own writing to a file reports a full disk as an error of its own kind.
    write_bytes(path, save(weights, {_SUM: sum_of(weights)}))


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
    weights, recorded = _read_weights(path)
    if all(value.dtype == torch.float64 for value in weights.values() if value.is_floating_point()):
        module.double()
    own = module.state_dict()
    expected, found = _kinds(own), _kinds(weights)
    if expected != found:
        name = next(n for n in (*expected, *found) if expected.get(n) != found.get(n))
        raise DataError(
            f"{path}: the weights are those of another architecture than {description} describes: "
            f"{name} expected {_in_words(expected.get(name))}, got {_in_words(found.get(name))}; {AGAIN}"
        )
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise DataError(f"{path}: {name} holds NaN or infinite values; {AGAIN}")
        if name.startswith(constants) and not torch.equal(value, own[name]):
            raise DataError(f"{path}: {name} is not the one of the base that {description} describes; {AGAIN}")
    if recorded not in (None, sum_of(weights)):
        raise DataError(f"{path}: damaged: its SHA-256 is not the one recorded when it was written; {AGAIN}")
    module.load_state_dict(weights)


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a file, and their checksum as it was recorded, if it was."""
    check_file(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(_SUM)  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file ({error}); {AGAIN}") from error


def sum_of(weights: dict[str, Tensor]) -> str:
    """SHA-256 of the names, kinds and values of all tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(repr((name, _kinds({name: value}))).encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


_Kind = tuple[tuple[int, ...], torch.dtype]


def _kinds(weights: dict[str, Tensor]) -> dict[str, _Kind]:
    return {name: (tuple(value.shape), value.dtype) for name, value in weights.items()}


def _in_words(kind: _Kind | None) -> str:
    return "nothing" if kind is None else f"{kind[0]} of {kind[1]}"


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
    folder = as_path("folder", folder)
    save_weights(folder / _FLOW_WEIGHTS, saved.flow)
    content = {"flow": saved.description.to_json(), "levels": saved.levels, "training": saved.training}
    write_json(folder / _FLOW, content)


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights of a saved flow, or of a model of points, by which others say which model they mean.

    Raises:
        DataError: The weights cannot be read.
    """
    flow, other = Path(folder) / _FLOW_WEIGHTS, Path(folder) / MODEL_WEIGHTS
    path = other if other.is_file() and not flow.is_file() else flow
    check_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_flow(folder: Path) -> SavedFlow:
    """Read what `save_flow` wrote.

    Raises:
        DataError: A file is missing, damaged, or the weights are those of another architecture.
    """
    folder = as_path("folder", folder)
    if (folder / POINTS).is_file():
        raise DataError(f"model: {folder} is a model of points, and this needs one of images; train without --space")
    if not (folder / _FLOW).is_file():
        raise DataError(f"model: {folder} holds no {_FLOW}; give the folder that 'manifoldflow train' wrote")
    content = read_json(folder / _FLOW)
    if not isinstance(content, dict) or type(content.get("levels")) is not int or not 2 <= content["levels"] <= 256:
        raise DataError(f"{folder / _FLOW}: expected the fields flow, levels (2 to 256) and training; {AGAIN}")
    try:
        description = FlowDescription.from_json(content.get("flow"))
        check_described_size(folder / _FLOW_WEIGHTS, description.least_parameters, _FLOW)  # before memory is asked for
        with torch.random.fork_rng(devices=[]):
            flow = build_flow(description)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{folder / _FLOW}: {error}; {AGAIN}") from error
    load_weights(folder / _FLOW_WEIGHTS, flow, _FLOW, constants="base_")
    return SavedFlow(flow.eval(), description, content["levels"], content.get("training") or {})


def check_described_size(path: Path, least: int, description: str) -> None:
    """Refuse a description of a model that is far larger than the weights beside it.

    Args:
        path: Of the weights.
        least: Numbers that the model has at least.
        description: What it is called in errors.
    """
    if path.is_file() and least > path.stat().st_size + _SLACK:
        raise DataError(
            f"{path}: the weights are those of another architecture, far smaller than {description} describes; {AGAIN}"
        )


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
        check_choice("kind", self.kind, _KINDS)
        if not isinstance(self.shape, tuple | list) or len(self.shape) != 3:
            raise ValueError(f"shape: expected (c, h, w), got {self.shape!r:.100}")
        shape = tuple(check_integer(f"shape[{i}]", n, 1, _LARGEST) for i, n in enumerate(self.shape))
        object.__setattr__(self, "shape", shape)
        for name in ("latent_dim", "channels", "hidden"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name), 1, _LARGEST))  # of numpy, too
        check_choice("prior", self.prior, BASES)
        if self.prior_parameter is not None:
            check_number("prior_parameter", self.prior_parameter, positive=True)
        check_number("penalty", self.penalty, positive=True)

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
    check_kind("description", description, ModelDescription)
    _, prior, _ = make_base(description.prior, description.latent_dim, description.prior_parameter)
    options = {name: getattr(description, name) for name in ("channels", *_OWN_OPTIONS[description.kind])}
    return _KINDS[description.kind](description.shape, prior=prior, **options)


def save_model(folder: Path, saved: SavedModel) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder, each whole or not at all.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    folder = as_path("folder", folder)
    save_weights(folder / MODEL_WEIGHTS, saved.model)
    write_json(folder / _MODEL, {"model": saved.description.to_json(), "training": saved.training})


def load_model(folder: Path) -> SavedModel:
    """Read what `save_model` wrote.

    Raises:
        DataError: A file is missing, damaged, or the weights are those of another architecture.
    """
    folder = as_path("folder", folder)
    if not (folder / _MODEL).is_file():
        raise DataError(f"model: {folder} holds no {_MODEL}; give a folder that save_model wrote")
    content = read_json(folder / _MODEL)
    if not isinstance(content, dict):
        raise DataError(f"{folder / _MODEL}: expected the fields model and training; {AGAIN}")
    try:
        description = ModelDescription.from_json(content.get("model"))
        with torch.random.fork_rng(devices=[]):
            model = build_model(description)
    except (TypeError, ValueError) as error:
        raise DataError(f"{folder / _MODEL}: {error}; {AGAIN}") from error
    load_weights(folder / MODEL_WEIGHTS, model, _MODEL)
    return SavedModel(model.eval(), description, content.get("training") or {})
