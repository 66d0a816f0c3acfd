r"""Maps of R^m onto a manifold that leave no pole behind: many vectors have one image, and a law says which it was.

There is no bijection of R^d with a sphere or a torus. A density p of points becomes one on R^m all the same: a vector z
has the image s(z), and given that image a law of its own, so that

.. math:: q(z) = p(s(z)) \, q(z \mid s(z))

integrates to 1, and images of its draws have the density p. For a sphere z is a normal vector and s(z) its direction.
"""

import math
from functools import singledispatch
from typing import Any

import torch
from pyro.distributions.constraints import sphere
from torch import Tensor
from torch.distributions import biject_to, constraints, transform_to
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import Transform

from .._geomstats import Manifold
from ..charts import Chart, SimplexChart, default_chart
from ..distributions.constraints import OnSpace
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from ..special import log_sphere_area

__all__ = ["Onto", "onto"]

_LOG_TURN = math.log(2 * math.pi)


class Onto(Transform):
    """A smooth map of R^m onto a manifold; its `inv` is one of many ways back.

    Attributes:
        size: m, the number of coordinates of a vector.
    """

    bijective = False
    domain = constraints.real_vector
    size: int

    def log_fibre(self, z: Tensor) -> Tensor:
        """Log density `(*batch,)` of vectors `(*batch, m)` given their images: times p(s(z)), a density on R^m."""
        raise NotImplementedError

    def lift(self, s: Tensor) -> Tensor:
        """A random vector `(*batch, m)` with the image `s`, by the law of `log_fibre`; differentiable in `s`."""
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """`log_fibre(x)` of a bijection; others have none, and raise NotImplementedError."""
        if not self.bijective:
            raise NotImplementedError(f"{self!r} is not a bijection; log_fibre takes the place of its log-determinant")
        return self.log_fibre(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.size))


class Directions(Onto):
    """The direction of a vector of R^n; a uniform direction is that of a standard normal vector."""

    codomain = sphere

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def _call(self, z: Tensor) -> Tensor:
        # Free of overflow; the direction does not depend on the unit, so its derivatives need not see it.
        unit = z.detach().abs().amax(-1, keepdim=True)
        first = torch.nn.functional.one_hot(torch.zeros((), dtype=torch.long, device=z.device), self.size)
        z = torch.where(unit > 0, z / torch.where(unit > 0, unit, 1.0), first.to(z))
        return z / torch.linalg.vector_norm(z, dim=-1, keepdim=True)

    def _inverse(self, s: Tensor) -> Tensor:
        return math.sqrt(self.size) * s

    def log_fibre(self, z: Tensor) -> Tensor:
        return _log_normal(z) + log_sphere_area(self.size)

    def lift(self, s: Tensor) -> Tensor:
        return torch.linalg.vector_norm(torch.randn_like(s), dim=-1, keepdim=True) * s


class Angles(Onto):
    """The d angles of d vectors of the plane, which stand one after the other."""

    codomain: Constraint = constraints.real_vector

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.size = dim, 2 * dim

    def _call(self, z: Tensor) -> Tensor:
        x, y = z.unflatten(-1, (self.dim, 2)).unbind(-1)
        origin = (x == 0) & (y == 0)
        return torch.atan2(y, torch.where(origin, 1.0, x))

    def _inverse(self, s: Tensor) -> Tensor:
        return math.sqrt(2) * torch.stack([s.cos(), s.sin()], -1).flatten(-2)

    def log_fibre(self, z: Tensor) -> Tensor:
        return _log_normal(z) + self.dim * _LOG_TURN

    def lift(self, s: Tensor) -> Tensor:
        plane = torch.stack([s.cos(), s.sin()], -1)
        return (torch.linalg.vector_norm(torch.randn_like(plane), dim=-1, keepdim=True) * plane).flatten(-2)


class Angle(Angles):
    """One angle as a number, of shape `(*batch,)`."""

    codomain: Constraint = constraints.real

    def __init__(self) -> None:
        super().__init__(1)

    def _call(self, z: Tensor) -> Tensor:
        return super()._call(z).squeeze(-1)

    def _inverse(self, s: Tensor) -> Tensor:
        return super()._inverse(s.unsqueeze(-1))

    def lift(self, s: Tensor) -> Tensor:
        return super().lift(s.unsqueeze(-1))


class ByChart(Onto):
    """A chart: the one vector that has the image."""

    bijective = True

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self.chart, self.size = chart, chart.dim

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return self.chart.codomain

    def _call(self, z: Tensor) -> Tensor:
        s = self.chart(z)
        # Far out a share becomes 0, which laws refuse: a sampler that strays there is to be turned back, not stopped.
        return s.clamp(min=torch.finfo(s.dtype).tiny) if isinstance(self.chart, SimplexChart) else s

    def _inverse(self, s: Tensor) -> Tensor:
        return self.chart.inv(s)

    def log_fibre(self, z: Tensor) -> Tensor:
        return self.chart.log_volume(z)

    def lift(self, s: Tensor) -> Tensor:
        return self.chart.inv(s)


class Factors(Onto):
    """Onto a product, factor by factor; a bijection if every factor's is one."""

    def __init__(self, space: Product) -> None:
        super().__init__()
        self.space = space
        self.parts = tuple(onto(factor) for factor in space.factors)
        self.size = sum(part.size for part in self.parts)

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(part.bijective for part in self.parts)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return OnSpace(self.space)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.parts == other.parts

    __hash__ = Onto.__hash__

    def _split(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.split([part.size for part in self.parts], -1)

    def _call(self, z: Tensor) -> Tensor:
        return torch.cat([part(block) for part, block in zip(self.parts, self._split(z))], -1)

    def _inverse(self, s: Tensor) -> Tensor:
        return torch.cat([part.inv(block) for part, block in zip(self.parts, self.space.split(s))], -1)

    def log_fibre(self, z: Tensor) -> Tensor:
        return torch.stack([part.log_fibre(block) for part, block in zip(self.parts, self._split(z))]).sum(0)

    def lift(self, s: Tensor) -> Tensor:
        return torch.cat([part.lift(block) for part, block in zip(self.parts, self.space.split(s))], -1)


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * _LOG_TURN)


@singledispatch
def onto(space: Manifold) -> Onto:
    """The map of R^m onto a space: of a sphere, torus, simplex or Euclidean space, or a product of these.

    `onto.register` adds a kind of space.

    Raises:
        ValueError: The space is of another kind.

    >>> onto(Hypersphere(2))(torch.tensor([3.0, 0.0, 4.0]))
    tensor([0.6000, 0.0000, 0.8000])
    """
    raise ValueError(
        f"space: expected a sphere, torus, simplex, Euclidean space or a product of these, got {space!r}; register a "
        "map with manifoldflow.inference.onto.register"
    )


@onto.register
def _(space: Hypersphere) -> Directions:
    return Directions(space.dim + 1)


@onto.register
def _(space: Torus) -> Angles:
    return Angles(space.dim)


@onto.register(Euclidean)
@onto.register(Simplex)
def _(space: Manifold) -> ByChart:
    return ByChart(default_chart(space))


@onto.register
def _(space: Product) -> Factors:
    return Factors(space)


def has_onto(space: Manifold) -> bool:
    """Whether there is a map onto this kind of space; of a product, onto each factor."""
    factors = getattr(space, "factors", (space,))
    return all(onto.dispatch(type(factor)) is not onto.dispatch(object) for factor in factors)


_NO_BIJECTION = (
    "no bijection of R^n with {} leaves no point out; pass the model through manifoldflow.inference.auto_reparam "
    "(or SphereReparam for one site), or use AutoVonMisesFisher as guide"
)


@biject_to.register(type(sphere))
def _no_bijection_with_a_sphere(constraint: Constraint) -> Transform:
    raise ValueError(_NO_BIJECTION.format("a sphere"))


@biject_to.register(OnSpace)
def _bijection_with_a_space(constraint: OnSpace) -> Transform:
    """Its chart, if it has one."""
    space = constraint.space
    if default_chart.dispatch(type(space)) is not default_chart.dispatch(object):
        return default_chart(space)
    if has_onto(space) and onto(space).bijective:
        return onto(space)
    raise ValueError(_NO_BIJECTION.format(space))


@transform_to.register(OnSpace)
def _map_onto_a_space(constraint: OnSpace) -> Transform:
    return onto(constraint.space)


OF_MIXTURES: Any = getattr(constraints, "MixtureSameFamilyConstraint", None)
"""Torch's constraint of mixtures; None where they have that of their components, as in torch 2.6."""

if OF_MIXTURES is not None:

    @biject_to.register(OF_MIXTURES)
    def _bijection_with_the_components(constraint: Any) -> Transform:
        return biject_to(constraint.base_constraint)

    @transform_to.register(OF_MIXTURES)
    def _map_onto_the_components(constraint: Any) -> Transform:
        return transform_to(constraint.base_constraint)
