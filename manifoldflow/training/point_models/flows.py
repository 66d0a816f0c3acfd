"""Flows as models of points: one-pass flows, and flow matching."""

import time
from abc import abstractmethod
from functools import singledispatch
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_integer
from ...data import PointSplit
from ...flows import Flow, FlowDistribution, FlowMatching, Solver, VectorField, flow_on
from ...manifolds import Euclidean
from ..likelihood import train_flow
from .interface import Fitted, ModelChoice, PointModel, Shapes, seeded

__all__ = ["FlowModel", "MatchingModel"]

_LARGEST = 100_000
_SOLVER = Solver(tolerance=1e-5)
"""Fine enough for weights in float32; `evaluate` prints what halving it changes."""


class _Trained(PointModel):
    """A model whose weights are those of a flow, trained by its own loss."""

    def __init__(self, space: Manifold, flow: Flow) -> None:
        super().__init__(space)
        self.flow = flow

    @classmethod
    @abstractmethod
    def new(cls, space: Manifold) -> Self:
        """A model to be trained; torch's generator decides the weights."""

    @classmethod
    def fit(
        cls, split: PointSplit, choice: ModelChoice, *, folder: Path, resume: bool = False, progress: bool = False
    ) -> Fitted[Self]:
        """Train with Lightning, keep the weights with the best validation loss."""
        began, settings = time.perf_counter(), choice.training
        dtype = torch.float64 if settings.precision == "64-true" else torch.float32
        train, validation = split.train.points.to(dtype), split.validation.points.to(dtype)
        with seeded(settings.seed):
            model = cls.new(split.train.space).to(dtype)
        if isinstance(model.flow, Standardised):
            model.flow.adapt(train)
        trained = train_flow(
            model.flow,
            train,
            validation,
            settings,
            folder=folder,
            resume=resume,
            progress=progress,
            title=cls.title,
        )
        return Fitted(
            model.eval(),
            time.perf_counter() - began,
            epochs=trained.epochs,
            best_epoch=trained.best_epoch,
            steps=trained.steps,
            stopped_by=trained.stopped_by,
        )

    @property
    def distribution(self) -> FlowDistribution:
        """The flow's law."""
        return self.flow.distribution()


class FlowModel(_Trained):
    """A one-pass flow, see `flow_on`: exact densities and draws.

    Args:
        space: Where the points live.
        flow: The flow.
    """

    kind: ClassVar[str] = "flow"
    title: ClassVar[str] = "flow"

    @classmethod
    def new(cls, space: Manifold) -> Self:
        """The default flow of the space."""
        return cls(space, _fitting(space, flow_on(space)))

    def describe(self) -> dict[str, Any]:
        """Nothing: the space says all."""
        return {}

    @classmethod
    def build(cls, space: Manifold, fields: dict[str, Any], shapes: Shapes) -> Self:
        """As `new`."""
        return cls.new(space)


class MatchingModel(_Trained):
    """Flow matching: trained by regression, with densities and draws from a differential equation.

    Args:
        space: Where the points live.
        flow: The flow.
        hidden, layers: Of its network.
    """

    kind: ClassVar[str] = "matching"
    title: ClassVar[str] = "flow matching"

    def __init__(self, space: Manifold, *, hidden: int = 128, layers: int = 4) -> None:
        field = VectorField(space, hidden=hidden, layers=layers)
        super().__init__(space, _fitting(space, FlowMatching(space, field=field, solver=_SOLVER)))
        self.hidden, self.layers = hidden, layers

    @classmethod
    def new(cls, space: Manifold) -> Self:
        """With the default network."""
        return cls(space)

    def describe(self) -> dict[str, Any]:
        """The size of the network."""
        return {"hidden": self.hidden, "layers": self.layers}

    @classmethod
    def build(cls, space: Manifold, fields: dict[str, Any], shapes: Shapes) -> Self:
        """With a network of that size."""
        return cls(space, **{name: check_integer(name, fields[name], 1, _LARGEST) for name in ("hidden", "layers")})


@singledispatch
def _fitting(space: Manifold, flow: Flow) -> Flow:
    """The flow as it is trained on data of the space."""
    return flow


@_fitting.register
def _(space: Euclidean, flow: Flow) -> Flow:
    return Standardised(flow)


class Standardised(Flow):
    """A flow of (x - loc) / scale with fixed numbers: networks and splines take numbers of the size of one.

    Args:
        flow: The flow of the standardised numbers, in R^d.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow.manifold, flow.base)
        self.inner = flow
        self.register_buffer("loc", torch.zeros(flow.manifold.dim))
        self.register_buffer("scale", torch.ones(flow.manifold.dim))

    def adapt(self, train: Tensor) -> None:
        """Take the mean and the deviation of training points."""
        scale = train.std(0)
        self.loc.copy_(train.mean(0))
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))  # 1 for a coordinate that is the same in all rows

    def loss(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """That of the flow inside."""
        return self.inner.loss((x - self.loc) / self.scale, context)

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        s, ladj = self.inner.encode_and_ladj((x - self.loc) / self.scale, context)
        return s, ladj - self.scale.log().sum()

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        return self.loc + self.scale * self.inner.decode(s, context)

    @property
    def tolerance(self) -> float | None:
        """The solver's of the flow inside, if it has one."""
        return getattr(self.inner, "tolerance", None)

    def with_tolerance(self, tolerance: float) -> "Standardised":
        """The same with another tolerance of the solver."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._modules = {**self._modules, "inner": self.inner.with_tolerance(tolerance)}  # type: ignore[operator]
        return other
