"""The interface of every flow: a learned bijection from the data's space to the base's, and a base law there."""

from abc import ABC, abstractmethod
from functools import singledispatch
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..checks import check_tensors, describe
from ..distributions import Dirichlet, Gaussian, SphericalUniform, VonMises
from ..manifolds import Euclidean, Hypersphere, Simplex, Torus

__all__ = ["Flow", "FlowDistribution", "default_base"]


@singledispatch
def default_base(space: Manifold) -> Any:
    """The uniform law of a space, or the standard normal where it has none.

    Raises:
        ValueError: A space that has no default; a base must be given.
    """
    raise ValueError(
        f"base: expected a distribution on {space!r}, which has no default one, got None; "
        "pass base=..., with sample and log_prob"
    )


@default_base.register
def _(space: Hypersphere) -> SphericalUniform:
    return SphericalUniform(space.dim)


@default_base.register
def _(space: Simplex) -> Dirichlet:
    return Dirichlet(torch.ones(space.dim + 1))


@default_base.register
def _(space: Torus) -> VonMises:
    """The uniform law: concentrations 0."""
    return VonMises(torch.zeros(space.dim), torch.zeros(space.dim))


@default_base.register
def _(space: Euclidean) -> Gaussian:
    return Gaussian(torch.zeros(space.dim))


class Flow(nn.Module, ABC):
    """A learned bijection from the data's space to the base's space, and a base law there.

    Subclasses write `encode_and_ladj` and `decode`; densities, draws and distributions follow.

    Args:
        manifold: The space of the data; points are `(*batch, *manifold.shape)`.
        base: A distribution on the base's space. Its tensors follow `.to(...)`; those that are Parameters are learned.
        context_dim: Size of the vectors that the flow is conditioned on; 0 for none.
    """

    def __init__(self, manifold: Manifold, base: Any, context_dim: int = 0) -> None:
        super().__init__()
        self.manifold = manifold
        self.context_dim = context_dim
        self._base = base
        self._base_names = _own_tensors(base)
        for name in self._base_names:
            value = getattr(base, name)
            if isinstance(value, nn.Parameter):
                self.register_parameter(f"base_{name}", value)
            else:
                self.register_buffer(f"base_{name}", value.detach().clone())

    @property
    def base(self) -> Any:
        """The base distribution, with this module's dtype and device."""
        if not self._base_names:
            return self._base
        return type(self._base)(**{n: getattr(self, f"base_{n}") for n in self._base_names}, validate_args=False)

    @abstractmethod
    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The point of the base's space `(*batch, n)` of data `(*batch, *event)`, and the log-volume `(*batch,)`."""

    @abstractmethod
    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        """Data `(*batch, *event)` of points of the base's space."""

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Points of the base's space `(*batch, n)` of data `(*batch, *event)`."""
        return self.encode_and_ladj(x, context)[0]

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log density `(*batch,)` of data with respect to the space's reference measure, given a context."""
        self.check(x, context)
        s, ladj = self.encode_and_ladj(x, context)
        return self.base.log_prob(s) + ladj

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`, for wrappers that call the module."""
        return self.log_prob(x, context)

    @torch.no_grad()
    def sample(self, shape: Size | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws `(*shape, *context_batch, *event)`, without gradients."""
        return self.distribution(context).rsample(Size(shape))

    def distribution(self, context: Tensor | None = None) -> "FlowDistribution":
        """The model as a Pyro distribution, for use as a likelihood or a guide; of batch shape `context.shape[:-1]`."""
        return FlowDistribution(self, context)

    def check(self, x: Tensor, context: Tensor | None) -> None:
        """Raise unless data and context have the right kind and shape."""
        check_tensors({"x": x}, self.manifold.shape, of=f"points of {self.manifold!r}")
        if self.context_dim and context is None:
            raise ValueError(
                f"context: expected shape (*batch, {self.context_dim}), which this flow needs, got None; pass context="
            )
        if context is None:
            return
        if not self.context_dim:
            raise ValueError(
                f"context: expected None for a flow without one, got {describe(context)}; build it with context_dim=..."
            )
        check_tensors({"context": context}, (self.context_dim,))


def _own_tensors(base: Any) -> tuple[str, ...]:
    """The tensor parameters from which a distribution of its class can be built again; none if it takes more."""
    names = tuple(getattr(base, "arg_constraints", ()))
    values = [base.__dict__.get(name) for name in names]
    return names if values and all(isinstance(value, Tensor) for value in values) else ()


class FlowDistribution(TorchDistribution):
    """A flow, given a context, as a Pyro distribution.

    Args:
        flow: Any `Flow`.
        context: Vectors `(*batch, context_dim)`, or None.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = True

    def __init__(self, flow: Flow, context: Tensor | None = None, *, validate_args: bool | None = None) -> None:
        self.flow, self.context = flow, context
        batch = Size() if context is None else context.shape[:-1]
        super().__init__(batch, Size(flow.manifold.shape), validate_args=validate_args)

    def __repr__(self) -> str:
        return f"FlowDistribution({type(self.flow).__name__}, batch={tuple(self.batch_shape)})"

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Constraint:
        """That of the base where it lives on the same space."""
        support = self.flow.base.support
        return (
            support if self.flow.base.event_shape == self.event_shape else constraints.independent(constraints.real, 1)
        )

    def expand(self, batch_shape: Size, _instance: Any = None) -> "FlowDistribution":
        new = self._get_checked_instance(FlowDistribution, _instance)
        new.flow = self.flow
        new.context = None if self.context is None else self.context.expand(*batch_shape, self.context.shape[-1])
        super(FlowDistribution, new).__init__(Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def manifold(self) -> Manifold:
        """The space of the data."""
        return self.flow.manifold

    @property
    def tolerance(self) -> float | None:
        """The solver's tolerance, of flows by an adaptive one; None of others."""
        return getattr(self.flow, "tolerance", None)

    def with_tolerance(self, tolerance: float) -> "FlowDistribution":
        """The same distribution with another tolerance of its solver."""
        return FlowDistribution(self.flow.with_tolerance(tolerance), self.context)  # type: ignore[operator]

    def parameters(self) -> list[nn.Parameter]:
        """The flow's trainable parameters."""
        return list(self.flow.parameters())

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density `(*batch,)` with respect to the space's reference measure."""
        batch = torch.broadcast_shapes(value.shape[: value.ndim - len(self.event_shape)], self.batch_shape)
        value = value.expand(batch + self.event_shape)
        return self.flow.log_prob(value, self._context(batch))

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Draws, differentiable in the flow's parameters and the context."""
        batch = Size(sample_shape) + self.batch_shape
        s = (
            self.flow.base.expand(batch).rsample()
            if self.flow.base.has_rsample
            else self.flow.base.expand(batch).sample()
        )
        return self.flow.decode(s, self._context(batch))

    def _context(self, batch: Size) -> Tensor | None:
        return None if self.context is None else self.context.expand(*batch, self.context.shape[-1])
