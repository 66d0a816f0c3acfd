"""What every model of points can do: be fitted to a split, described, built again, and give its distribution."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from ..._geomstats import Manifold
from ...checks import check_choice, check_integer
from ...data import PointSplit
from ..settings import TrainSettings

__all__ = ["POINT_MODELS", "Fitted", "ModelChoice", "PointModel", "Shapes", "mean_nll", "seeded"]

POINT_MODELS: dict[str, type["PointModel"]] = {}
"""Kinds of models by name; each enters itself."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model to fit, and how.

    Args:
        kind: A name in `POINT_MODELS`.
        components: Of a mixture; None to choose by the validation points.
        training: Of flows; others take its seed.

    Raises:
        ValueError: An unknown kind, or an option that it does not have.
    """

    kind: str = "flow"
    components: int | None = None
    training: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        check_choice("model", self.kind, POINT_MODELS)
        if self.components is not None:
            check_integer("components", self.components)
            if self.kind != "mixture":
                raise ValueError(f"components: only a mixture has them, got model {self.kind!r}; leave it out")


Shapes = dict[str, tuple[int, ...]]
"""Of a model's tensors by name."""
M = TypeVar("M", bound="PointModel")


@dataclass(frozen=True)
class Fitted(Generic[M]):
    """A model and how its fit went.

    Args:
        model: In eval mode, on the CPU.
        seconds: Wall time of the fit.
        epochs, best_epoch, steps: Of a training; 0 where there was none.
        stopped_by: "epochs", "early stopping", "time limit", or "fit" where there was no training.
        note: What a user should know, or "".
    """

    model: M
    seconds: float
    epochs: int = 0
    best_epoch: int = 0
    steps: int = 0
    stopped_by: str = "fit"
    note: str = ""


class PointModel(nn.Module, ABC):
    """A model of points of a manifold, whose tensors are its parameters and buffers.

    Args:
        space: Where the points live.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    resumable: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in vars(cls):
            POINT_MODELS[cls.kind] = cls

    def __init__(self, space: Manifold) -> None:
        super().__init__()
        self.space = space

    @classmethod
    @abstractmethod
    def fit(
        cls, split: PointSplit, choice: ModelChoice, *, folder: Path, resume: bool = False, progress: bool = False
    ) -> Fitted[Self]:
        """Fit to the training points, with choices by the validation points; checkpoints go to `folder`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What `build` needs, as JSON values."""

    @classmethod
    @abstractmethod
    def build(cls, space: Manifold, fields: dict[str, Any], shapes: Shapes) -> Self:
        """A model of that description, with tensors of these shapes and any values.

        Raises:
            ValueError, KeyError, TypeError: The description is damaged.
        """

    @property
    @abstractmethod
    def distribution(self) -> Any:
        """The law, with `log_prob`, `sample`, `manifold` and `event_shape`."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the points that the distribution takes."""
        return next(value.dtype for value in self.state_dict().values() if value.is_floating_point())

    @property
    def size(self) -> int:
        """Number of parameters that were fitted."""
        return sum(parameter.numel() for parameter in self.parameters())


def mean_nll(distribution: Any, points: Tensor) -> float:
    """Mean of minus the log density of points."""
    with torch.no_grad():
        return -float(distribution.log_prob(points).double().mean())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's generators at a seed, and back where they were afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
