"""Independent laws of the factors of a product of spaces."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...checks import check_kind, describe
from ...manifolds import Product
from ..base import BaseDistribution
from ..constraints import OnSpace
from ..laws import Law, law_of
from ..lifts import Joined
from .parts import Parts, parts_of

__all__ = ["Joint"]


class Joint(BaseDistribution):
    """Independent laws, whose points stand one after the other: a law on the product of their spaces.

    Args:
        laws: Distributions of vectors with a `manifold`, of broadcastable batch shapes.
        space: The `Product` of their spaces; made of them if not given.

    Densities are with respect to the product of the factors' reference measures.

    Raises:
        TypeError: One that is not a distribution on a manifold.
        ValueError: No laws, or laws that are not on the factors of `space`.

    >>> law = Joint([SphericalUniform(2), Gaussian(torch.zeros(1))])
    >>> law
    Joint(SphericalUniform(2), Gaussian(loc: (1,), scale: (1,)))
    >>> law.sample((4,)).shape
    torch.Size([4, 4])
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, laws: Sequence[Any], space: Product | None = None, *, validate_args: bool | None = None) -> None:
        self.laws = _checked(laws, space)
        self.space = Product([law.manifold for law in self.laws]) if space is None else space
        batch = torch.broadcast_shapes(*(law.batch_shape for law in self.laws))
        self.sizes = [law.event_shape[0] for law in self.laws]
        super().__init__(batch, Size((sum(self.sizes),)), validate_args=validate_args)

    def __repr__(self) -> str:
        return f"Joint({', '.join(' '.join(repr(law).split()) for law in self.laws)})"

    @property
    def _dtype(self) -> torch.dtype:
        return getattr(self.laws[0], "_dtype", torch.get_default_dtype())

    @property
    def has_rsample(self) -> bool:
        return all(law.has_rsample for law in self.laws)

    @property
    def manifold(self) -> Manifold:
        return self.space

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        return OnSpace(self.space)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = super().expand(batch_shape, _instance)
        new.laws = tuple(law.expand(batch_shape) for law in self.laws)
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of the factors' log densities, `(*batch,)`."""
        value = self._checked(value)
        total = torch.zeros((), dtype=value.dtype, device=value.device)
        for law, part in zip(self.laws, value.split(self.sizes, -1)):
            total = total + law.log_prob(part)
        return total

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        return self._drawn("rsample", sample_shape)

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        with torch.no_grad():
            return self._drawn("sample", sample_shape)

    def _drawn(self, how: str, sample_shape: Size) -> Tensor:
        laws = [law if law.batch_shape == self.batch_shape else law.expand(self.batch_shape) for law in self.laws]
        return torch.cat([getattr(law, how)(Size(sample_shape)) for law in laws], -1)


def _checked(laws: Any, space: Any) -> tuple[Any, ...]:
    if not isinstance(laws, Sequence):
        raise TypeError(f"laws: expected a list of distributions, got {describe(laws)}")
    if not laws:
        raise ValueError("laws: expected at least one distribution, got none")
    for i, law in enumerate(laws):
        if not hasattr(law, "log_prob") or not hasattr(law, "manifold") or len(law.event_shape) != 1:
            raise TypeError(f"laws[{i}]: expected a distribution of vectors with a manifold, got {describe(law)}")
    if space is not None:
        check_kind("space", space, Product)
        wanted, got = [tuple(f.shape) for f in space.factors], [tuple(law.event_shape) for law in laws]
        if wanted != got:
            raise ValueError(f"laws: expected points of shapes {wanted}, as the factors of {space!r}, got {got}")
    return tuple(laws)


@parts_of.register
def _(law: Joint) -> Parts:
    return Parts(_Again(law.space), laws={str(i): factor for i, factor in enumerate(law.laws)})


class _Again:
    """Builds a joint law of other factors."""

    def __init__(self, space: Product) -> None:
        self.space = space

    def __call__(self, **laws: Any) -> Joint:
        return Joint(list(laws.values()), self.space, validate_args=False)


@law_of.register
def _(base: Joint) -> Law:
    laws = [law_of(law) for law in base.laws]
    lifts = [law.lift for law in laws if law.lift is not None]
    known = {"lift": Joined(tuple(lifts), tuple(base.sizes))} if len(lifts) == len(laws) else {}
    return Law.of(base, " and ".join(law.title for law in laws), is_convex=all(law.is_convex for law in laws), **known)
