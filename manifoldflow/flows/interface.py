"""The interface of every flow: a learned bijection from the data's space to the base's, and a base law there."""

from abc import ABC, abstractmethod
from functools import partial, singledispatch
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..checks import check_integer, check_tensors, describe
from ..distributions import Dirichlet, Gaussian, Joint, SphericalUniform, VonMises
from ..distributions.composed.parts import Parts, parts_of
from ..distributions.constraints import OnSpace
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from .held import Built, hold

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


@default_base.register
def _(space: Product) -> Joint:
    return Joint([default_base(factor) for factor in space.factors], space)


class Flow(nn.Module, ABC):
    """A learned bijection from the data's space to the base's space, and a base law there.

    Subclasses write `encode_and_ladj` and `decode`; densities, draws and distributions follow.

    Args:
        manifold: The space of the data; points are `(*batch, *manifold.shape)`.
        base: A distribution on the base's space, mixtures, kernel densities, joint laws and other flows' distributions
            among them; None for `default_base(manifold)`. Its tensors follow `.to(...)` and are saved with the flow;
            Parameters among them are learned.
        context_dim: Size of the vectors that the flow is conditioned on; 0 for none.
    """

    def __init__(self, manifold: Manifold | None, base: Any, context_dim: int = 0) -> None:
        super().__init__()
        if manifold is not None:
            self.manifold = manifold
        self.context_dim = check_integer("context_dim", context_dim, 0)
        self._recipe = hold(self, default_base(manifold) if base is None and manifold is not None else base)
        self._built: Built | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}  # what a copy builds is its own

    @property
    def base(self) -> Any:
        """The base distribution, with this module's dtype and device."""
        law, self._built = Built.of(self._recipe, self, self._built)
        return law

    @property
    def learns_base(self) -> bool:
        """Whether the base has parameters that are learned."""
        return any(
            parameter.requires_grad
            for name, parameter in self.named_parameters()
            if name.partition(".")[0] in set(self._recipe.names())
        )

    @property
    def space(self) -> Manifold | None:
        """The space of the data; None for images, which are vectors of R^d in another shape."""
        return self.manifold

    @property
    def event_shape(self) -> Size:
        """Of one data point."""
        return Size(self.manifold.shape)

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

    def loss(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What training makes small: minus the mean log density of a batch of data, in nats."""
        return -self(x, context).mean()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`, for wrappers that call the module."""
        return self.log_prob(x, context)

    @torch.no_grad()
    def sample(self, shape: Size | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws `(*shape, *context_batch, *event)`, without gradients."""
        return self.distribution(context).rsample(Size(shape))

    def rsample(self, shape: Size, context: Tensor | None = None) -> Tensor:
        """Draws `(*shape, *event)` given contexts `(*shape, context_dim)`; differentiable where the base's are."""
        base = self.base
        return self.decode(base.rsample(shape) if base.has_rsample else base.sample(shape), context)

    def distribution(self, context: Tensor | None = None) -> "FlowDistribution":
        """The model as a Pyro distribution, for use as a likelihood or a guide; of batch shape `context.shape[:-1]`."""
        return FlowDistribution(self, context)

    def check(self, x: Tensor, context: Tensor | None) -> None:
        """Raise unless data and context have the right kind and shape."""
        check_tensors({"x": x}, self.manifold.shape, of=f"points of {self.manifold!r}")
        self.check_context(context)

    def check_context(self, context: Tensor | None) -> None:
        """Raise unless there is a context exactly where the flow takes one, of the right shape."""
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


class FlowDistribution(TorchDistribution):
    """A flow, given a context, as a Pyro distribution.

    Args:
        flow: Any `Flow`.
        context: Vectors `(*batch, context_dim)`, or None.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, flow: Flow, context: Tensor | None = None, *, validate_args: bool | None = None) -> None:
        self.flow, self.context = flow, context
        batch = Size() if context is None else context.shape[:-1]
        super().__init__(batch, flow.event_shape, validate_args=validate_args)

    def __repr__(self) -> str:
        return f"FlowDistribution({type(self.flow).__name__}, batch={tuple(self.batch_shape)})"

    @property
    def has_rsample(self) -> bool:
        """Whether draws are differentiable in all that is learned: not in a base of which draws are not."""
        return self.flow.base.has_rsample or not self.flow.learns_base

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Constraint:
        """All points of the space; vectors and images of any finite numbers."""
        space = self.flow.space
        if space is None or isinstance(space, Euclidean):
            return constraints.independent(constraints.real, len(self.event_shape))
        return OnSpace(space)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "FlowDistribution":
        new = self._get_checked_instance(FlowDistribution, _instance)
        new.flow = self.flow
        new.context = None if self.context is None else self.context.expand(*batch_shape, self.context.shape[-1])
        super(FlowDistribution, new).__init__(Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def manifold(self) -> Manifold | None:
        """The space of the data."""
        return self.flow.space

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
        return self.flow.rsample(batch, self._context(batch))

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """The same without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def _context(self, batch: Size) -> Tensor | None:
        return None if self.context is None else self.context.expand(*batch, self.context.shape[-1])


@parts_of.register
def _(law: FlowDistribution) -> Parts:
    return Parts(partial(FlowDistribution, context=law.context), modules={"flow": law.flow})
