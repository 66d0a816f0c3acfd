"""Ensembles: mixtures of any laws on one space, with weights that held-out points choose."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...checks import as_tensor, check_integer, check_number, describe
from ..base import BaseDistribution, draw_components
from ..laws import law_of
from .parts import Parts, parts_of

__all__ = ["Ensemble", "mix_densities"]

_BLOCK = 4096


class Ensemble(BaseDistribution):
    r"""A mixture :math:`\sum_k w_k p_k` of any laws on one space; `mix_densities` fits the weights.

    Args:
        laws: Distributions of one event shape and no batch shape, or flows.
        weights: :math:`w_k \ge 0`, shape `(k,)`; they are scaled to sum to one.

    Raises:
        TypeError, ValueError: Laws that are not distributions, of different event shapes, or batches of them; weights
            that do not fit.

    >>> law = Ensemble([SphericalUniform(2), VonMisesFisher(torch.eye(3)[0], 50.0)], torch.tensor([1.0, 3.0]))
    >>> law
    Ensemble(0.25 SphericalUniform, 0.75 VonMisesFisher)
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = False

    def __init__(self, laws: Sequence[Any], weights: Tensor, *, validate_args: bool | None = None) -> None:
        self.laws = _checked(laws)
        weights = as_tensor("weights", weights)
        if weights.shape != (len(self.laws),) or not bool((weights >= 0).all() & (weights.sum() > 0)):
            raise ValueError(f"weights: expected {len(self.laws)} nonnegative numbers, not all zero, got {weights}")
        self.weights = weights / weights.sum()
        super().__init__(Size(), self.laws[0].event_shape, validate_args=validate_args)

    def __repr__(self) -> str:
        parts = [f"{float(w):.3g} {type(law).__name__}" for w, law in zip(self.weights.detach(), self.laws)]
        return f"Ensemble({', '.join(parts)})"

    @property
    def manifold(self) -> Manifold:
        return self.laws[0].manifold

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Constraint:
        return self.laws[0].support

    @property
    def tolerance(self) -> float | None:
        """The coarsest tolerance of the laws' solvers, where they have any."""
        return max((t for law in self.laws if (t := getattr(law, "tolerance", None)) is not None), default=None)

    def with_tolerance(self, tolerance: float) -> "Ensemble":
        """The same with another tolerance of the laws' solvers."""
        laws = [law if getattr(law, "tolerance", None) is None else law.with_tolerance(tolerance) for law in self.laws]
        return Ensemble(laws, self.weights)

    def parameters(self) -> list[Tensor]:
        """The trainable parameters of all laws."""
        return [p for law in self.laws if callable(getattr(law, "parameters", None)) for p in law.parameters()]

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        return super().expand(batch_shape, _instance)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density `(*batch,)`; float64 inside."""
        value = self._checked(value)
        shape = torch.broadcast_shapes(value.shape[: value.ndim - len(self.event_shape)], self.batch_shape)
        joint = torch.stack([law.log_prob(value).double() for law in self.laws], -1) + self.weights.double().log()
        return joint.logsumexp(-1).to(value.dtype).expand(shape)

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws: a law by its weight, then one from it."""
        shape = Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            counts = draw_components(self.weights, shape).flatten().bincount(minlength=len(self.laws)).tolist()
            parts = [law.sample(Size((count,))) for law, count in zip(self.laws, counts)]
            finest = reduce(torch.promote_types, (part.dtype for part in parts))
            # Coarser draws are only on the space to their own rounding.
            parts = [p if p.dtype == finest else self.manifold.projection(p.to(finest)) for p in parts]
            drawn = torch.cat(parts)
            order = torch.randperm(len(drawn), device=drawn.device)
            return drawn[order].reshape(shape + self.event_shape)


def _checked(laws: Any) -> tuple[Any, ...]:
    if not isinstance(laws, Sequence) or not laws:
        raise TypeError(f"laws: expected a list of distributions or flows, got {describe(laws)}")
    found = tuple(law_of(law).base for law in laws)
    for i, law in enumerate(found):
        if law.batch_shape or law.event_shape != found[0].event_shape:
            raise ValueError(
                f"laws[{i}]: expected event shape {tuple(found[0].event_shape)} and no batch shape, got "
                f"{tuple(law.event_shape)} and {tuple(law.batch_shape)}"
            )
    return found


@parts_of.register
def _(law: Ensemble) -> Parts:
    return Parts(_again, {"weights": law.weights}, {str(i): one for i, one in enumerate(law.laws)})


def _again(weights: Tensor, **laws: Any) -> Ensemble:
    return Ensemble(list(laws.values()), weights, validate_args=False)


def mix_densities(
    laws: Sequence[Any], points: Tensor, *, tolerance: float = 1e-6, iterations: int = 10_000
) -> Ensemble:
    r"""The mixture of given laws, their weights those of the largest likelihood of held-out points.

    Args:
        laws: Distributions or flows on one space, such as a trained flow and a kernel density.
        points: Points `(m, *event)` that none of the laws was fitted to: the validation set.
        tolerance: Stop where no weights have a mean log density that is larger by this many nats.
        iterations: At most so many steps of expectation and maximisation.

    The likelihood is concave in the weights, so there are no other maxima; with :math:`g_k` the mean of
    :math:`p_k / \sum_j w_j p_j` over the points, the optimum is at most :math:`\max_k g_k - 1` nats above.

    Raises:
        TypeError, ValueError: As `Ensemble`; a point at which every law has density zero, or NaN.

    >>> points = VonMisesFisher(torch.eye(3)[0], 50.0).sample((200,))
    >>> mix_densities([SphericalUniform(2), VonMisesFisher(torch.eye(3)[0], 50.0)], points).weights[1] > 0.9
    tensor(True)

    Reference: B. Lindsay, Annals of Statistics 11, 1983, for the bound.
    """
    check_number("tolerance", tolerance, positive=True)
    check_integer("iterations", iterations)
    found = _checked(laws)
    points = as_tensor("points", points)
    if tuple(points.shape[1:]) != tuple(found[0].event_shape) or not len(points):
        raise ValueError(f"points: expected shape (m, {', '.join(map(str, found[0].event_shape))}), got "
                         f"{tuple(points.shape)}")  # fmt: skip
    with torch.no_grad():
        logs = torch.stack(
            [torch.cat([law.log_prob(block).double() for block in points.split(_BLOCK)]) for law in found], -1
        )
        top = logs.amax(-1, keepdim=True)
        if not bool(((top > -math.inf) & (top < math.inf)).all()):
            row = int((~((top > -math.inf) & (top < math.inf))).nonzero()[0, 0])
            raise ValueError(
                f"points: expected finite log densities under one law at least, got {logs[row].tolist()} at row {row}; "
                "add a law with mass everywhere, such as the uniform one"
            )
        ratio = (logs - top).exp()
        weights = torch.full((len(found),), 1 / len(found), dtype=torch.float64, device=logs.device)
        for _ in range(iterations):
            gain = (ratio / (ratio @ weights)[:, None]).mean(0)
            if float(gain.max()) - 1 <= tolerance:
                break
            weights = weights * gain
    return Ensemble(found, weights.to(points.dtype))
