"""Riemannian flow matching: a velocity field trained by regression, whose flow carries a base law to the data."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..._geomstats import Manifold
from ...checks import check_integer
from ...errors import CutLocusError
from ..interface import Flow
from .coordinates import coordinates_of
from .couplings import Coupling, find_coupling
from .divergence import divergence, estimated_divergence, log_volume_density
from .fields import VectorField
from .integrate import Solution, Solver, integrate
from .paths import ConditionalPath, cut_locus, geodesic_path

__all__ = ["FlowMatching"]

_EXACT = 16
_REDRAWS = 10


class FlowMatching(Flow):
    r"""A flow of data on any space with exp and log, trained by matching velocities of geodesics.

    .. math:: \min_v E\,\big|v(t, x_t) - \dot x_t\big|_g^2,\quad x_t = \exp_{x_1}((1-t)\log_{x_1} x_0)

    over base draws :math:`x_0`, data :math:`x_1` and times t uniform on [0, 1]. The flow of v from time 0 to 1 carries
    the base to the data's law; densities follow from the divergence of v along the way.

    Args:
        space: Any geomstats space with exp and log: the sphere, the torus, the simplex, Euclidean space, products,
            pullbacks, or foreign ones such as SO(3), hyperbolic space and positive definite matrices.
        base: The law at time 0: anything with `sample` (for densities also `log_prob`, relative to the same measure as
            the result: the space's reference measure, for foreign spaces Riemannian volume). By default the uniform
            law, on Euclidean space the standard normal.
        field: A module `(t, x, context) -> ambient vectors`; its values are made tangent here. A `VectorField` by
            default.
        context_dim: Size of the vectors to condition on; 0 for none.
        coupling: "independent", "optimal-transport" (within each batch, by geodesic distance), or a function.
        path: The conditional paths; geodesics by default, see `BentPath`.
        solver: How to integrate; adaptive by default.
        probes: Vectors of Hutchinson's estimate of the divergence, used where the space has more than 16 dimensions.

    A pair on the cut locus, which no unique geodesic joins, gets another base draw; `redrawn` counts them.

    Reference: R. Chen and Y. Lipman, Flow matching on general geometries, ICLR 2024 (arXiv 2302.03660), equations 8 to
    14; the couplings of arXiv 2302.00482.

    Example:
        >>> flow = FlowMatching(mf.Hypersphere(2))
        >>> loss = flow.loss(torch.nn.functional.normalize(torch.randn(64, 3), dim=-1))
        >>> flow.sample((5,)).shape
        torch.Size([5, 3])
    """

    redrawn: Tensor

    def __init__(
        self,
        space: Manifold,
        *,
        base: Any = None,
        field: nn.Module | None = None,
        context_dim: int = 0,
        coupling: str | Coupling = "independent",
        path: ConditionalPath = geodesic_path,
        solver: Solver | None = None,
        probes: int = 8,
    ) -> None:
        check_integer("context_dim", context_dim, least=0)
        super().__init__(space, base, context_dim)
        self.field = VectorField(space, context_dim=context_dim) if field is None else field
        self.coordinates = coordinates_of(space)
        self.coupling = find_coupling(coupling)
        self.path = path
        self.solver = solver or Solver()
        self.probes = check_integer("probes", probes, least=2)
        self.evaluations = 0
        self.register_buffer("redrawn", torch.zeros((), dtype=torch.long))

    @property
    def space(self) -> Manifold:
        """The space of data and base."""
        return self.manifold

    def velocity(self, t: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Tangent vectors at points `(*batch, *event)` and times that broadcast with `(*batch,)`."""
        return self.coordinates.tangent(self._output(t, x, context), x)

    def _output(self, t: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        return self.field(t.to(x).expand(x.shape[: x.ndim - len(self.manifold.shape)]), x, context)

    def loss(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The flow-matching loss of a batch of data `(m, *event)`: mean squared error in the metric's norm."""
        self.check(x, context)
        with torch.no_grad():
            start = self.coupling(self.manifold, self._starts(x), x)
            t = torch.rand(len(x), dtype=x.dtype, device=x.device)
            point, target = self.path(self.manifold, t, start, x)
        return self.coordinates.squared_error(self._output(t, point, context), target, point).mean()

    def _starts(self, x: Tensor) -> Tensor:
        """Base draws, one for each data point, none of them at its cut locus."""
        start = self.base.sample((len(x),)).to(x)
        for _ in range(_REDRAWS):
            cut = cut_locus(self.manifold, start, x)
            count = 0 if cut is None else int(cut.sum())
            if not count:
                return start
            self.redrawn += count
            start = start.clone()
            start[cut] = self.base.sample((count,)).to(x)
        raise CutLocusError(
            f"base: expected draws that a unique geodesic joins to the data, got {count} pairs on the cut "
            f"locus after {_REDRAWS} draws; use a base that is spread out"
        )

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        """Where the flow carries points of the base's space, from time 0 to 1; differentiable with fixed steps."""
        return self._solve(s, context, 0.0, 1.0, None).points

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Where data come from, from time 1 to 0."""
        return self._solve(x, context, 1.0, 0.0, None).points

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Where data come from, and the integral of the divergence from time 1 to 0."""
        solution = self._solve(x, context, 1.0, 0.0, self._probes(x))
        return solution.points, solution.integrals.mean(0)

    def log_prob_and_error(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log densities `(*batch,)` and the standard errors that Hutchinson's probes leave; 0 up to 16 dimensions."""
        self.check(x, context)
        solution = self._solve(x, context, 1.0, 0.0, self._probes(x))
        value = self.base.log_prob(solution.points) + solution.integrals.mean(0)
        count = len(solution.integrals)
        return value, torch.zeros_like(value) if count == 1 else solution.integrals.std(0) / count**0.5

    def _probes(self, x: Tensor) -> Tensor:
        """Signs `(k, *batch, *inner event)`; none, k = 0, where the divergence is exact."""
        count = 0 if self.manifold.dim <= _EXACT else self.probes
        shape = (count, *x.shape[: x.ndim - len(self.manifold.shape)], *self.coordinates.inner.shape)
        return torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(0.5).mul_(2).sub_(1)

    def _solve(self, x: Tensor, context: Tensor | None, start: float, end: float, probes: Tensor | None) -> Solution:
        """The flow in inner coordinates; the integrals are log-volumes, those of the coordinates included."""
        inner, coordinates = self.coordinates.inner, self.coordinates
        batch = x.shape[: x.ndim - len(self.manifold.shape)]
        rows = 0 if probes is None else max(1, len(probes))

        def velocity(t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            def field(z: Tensor) -> Tensor:
                point = coordinates.back(z)
                return coordinates.inner_velocity(self._output(t, point, context), point)

            if probes is None:
                return field(y), y.new_zeros((0, *batch))
            if not len(probes):
                v, rate = divergence(inner, field, y)
                return v, rate[None]
            return estimated_divergence(inner, field, y, probes)

        first = coordinates.to(x)
        moved = integrate(velocity, inner, first, x.new_zeros((rows, *batch)), start=start, end=end, solver=self.solver)
        self.evaluations = moved.evaluations
        last = coordinates.back(moved.points)
        if probes is None:
            return replace(moved, points=last)
        volume = coordinates.log_volume(moved.points) - coordinates.log_volume(first)
        volume = volume + log_volume_density(self.manifold, last) - log_volume_density(self.manifold, x)
        return Solution(last, moved.integrals + volume, moved.evaluations)

    @property
    def tolerance(self) -> float | None:
        """The solver's, where it is adaptive."""
        return self.solver.tolerance if self.solver.adaptive else None

    def with_tolerance(self, tolerance: float) -> "FlowMatching":
        """The same flow, sharing its field, with another tolerance of the solver."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.solver = replace(self.solver, tolerance=tolerance)
        return other
