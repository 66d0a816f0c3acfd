r"""Charts of the open simplex, computed in log space from end to end.

A point of the d-simplex has D = d + 1 coordinates; its reference measure is Lebesgue's on the first d of
them (torch's Dirichlet convention). For each chart here the log-volume is a constant plus the sum of all D
log-coordinates: changing between them only shears or rotates log-coordinates. `to_log` and `from_log` go to
and from log s, where coordinates far below the smallest float still have all their digits; through s itself
a coordinate that underflows is lost, and its inverse is refused (under a transform or a compiler, infinite or NaN).
"""

import math

import torch
from torch import Tensor
from torch.distributions import biject_to, transform_to
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import SoftmaxTransform
from torch.nn.functional import logsigmoid

from ..checks import holds
from ..errors import OffManifoldError
from ..manifolds import Simplex
from ..manifolds.metric import rows_of
from .chart import Chart, check_last, default_chart

__all__ = ["AdditiveLogRatio", "IsometricLogRatio", "SimplexChart", "SimplexConstraint", "StickBreaking"]


class SimplexConstraint(Constraint):
    """Nonnegative vectors of `dim` + 1 coordinates that sum to one, within 10 eps sqrt(dim + 1).

    torch's own simplex constraint allows the sum to be off by 1e-6, which at 12,289 coordinates rejects most exact
    float32 softmaxes.
    """

    event_dim = 1

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def check(self, value: Tensor) -> Tensor:
        size = value.shape[-1]
        off = (value.sum(-1, dtype=torch.float64) - 1).abs()
        close = off < 10 * torch.finfo(value.dtype).eps * size**0.5
        return (value >= 0).all(-1) & close & (size == self.dim + 1)

    def __repr__(self) -> str:
        return f"SimplexConstraint({self.dim})"


class SimplexChart(Chart):
    """A chart R^d -> open simplex in R^{d+1} that works on log-coordinates."""

    @property
    def ambient_dim(self) -> int:
        return self.dim + 1

    @property
    def codomain(self) -> SimplexConstraint:  # type: ignore[override]
        return SimplexConstraint(self.dim)

    @property
    def log_volume_offset(self) -> float:
        """`log_volume(z)` minus the sum of the log-coordinates, which does not depend on z."""
        return 0.0

    def to_log(self, z: Tensor) -> Tensor:
        """Log-coordinates of the point at `z`: `(*batch, d)` to `(*batch, d + 1)`."""
        raise NotImplementedError

    def from_log(self, log_s: Tensor) -> Tensor:
        """Chart coordinates of a point given by its log-coordinates; `(*batch, d + 1)` to `(*batch, d)`."""
        raise NotImplementedError

    def log_volume(self, z: Tensor) -> Tensor:
        return self.to_log(z).sum(-1) + self.log_volume_offset

    def _call(self, z: Tensor) -> Tensor:
        return self.to_log(z).exp()

    def _inverse(self, s: Tensor) -> Tensor:
        check_last("s", s, self.dim + 1, self)
        empty = (s <= 0).any(-1)
        if holds(empty):
            raise OffManifoldError(
                f"s: expected positive coordinates, where {self!r} is defined, got zero or less at {rows_of(empty)}; "
                "move the points inside, or give from_log their log-coordinates"
            )
        return self.from_log(s.log())


class AdditiveLogRatio(SimplexChart):
    """Additive log-ratio, s = softmax([z, 0]), z_k = log(s_k / s_D) (Aitchison 1982)."""

    def to_log(self, z: Tensor) -> Tensor:
        check_last("z", z, self.dim, self)
        return torch.cat([z, torch.zeros_like(z[..., :1])], dim=-1).log_softmax(-1)

    def from_log(self, log_s: Tensor) -> Tensor:
        check_last("log_s", log_s, self.dim + 1, self)
        return log_s[..., :-1] - log_s[..., -1:]


class IsometricLogRatio(SimplexChart):
    r"""Isometric log-ratio: an orthonormal basis of the centred log-ratios (Egozcue et al. 2003).

    |z| is the Aitchison norm of s. The basis is the first d columns of the Householder reflection that
    swaps the last axis and the direction -(1, ..., 1); it costs one sum instead of a D x d matrix:

    .. math:: s = \mathrm{softmax}\Big(z_1, \dots, z_d, -\frac{\sum_k z_k}{1 + \sqrt D}\Big).
    """

    @property
    def log_volume_offset(self) -> float:
        return 0.5 * math.log(self.dim + 1)

    def to_log(self, z: Tensor) -> Tensor:
        check_last("z", z, self.dim, self)
        last = -z.sum(-1, keepdim=True) / (1 + math.sqrt(self.dim + 1))
        return torch.cat([z, last], dim=-1).log_softmax(-1)

    def from_log(self, log_s: Tensor) -> Tensor:
        check_last("log_s", log_s, self.dim + 1, self)
        centred = log_s - log_s.mean(-1, keepdim=True)
        return centred[..., :-1] - centred[..., -1:] / (1 + math.sqrt(self.dim + 1))


class StickBreaking(SimplexChart):
    r"""Stick-breaking, as in Stan: each coordinate takes a share of what is left; z = 0 is the centre.

    .. math:: v_k = \sigma(z_k - \log(D - k)), \quad s_k = v_k \prod_{j<k} (1 - v_j).
    """

    def to_log(self, z: Tensor) -> Tensor:
        check_last("z", z, self.dim, self)
        logit = z - self._offset(z)
        left = logsigmoid(-logit).cumsum(-1)
        zero = torch.zeros_like(z[..., :1])
        return torch.cat([logsigmoid(logit), zero], dim=-1) + torch.cat([zero, left], dim=-1)

    def from_log(self, log_s: Tensor) -> Tensor:
        check_last("log_s", log_s, self.dim + 1, self)
        # What is left after stick k, as the sum of all later coordinates: no difference is taken.
        left = log_s[..., 1:].flip(-1).logcumsumexp(-1).flip(-1)
        return log_s[..., :-1] - left + self._offset(log_s)

    def _offset(self, like: Tensor) -> Tensor:
        return torch.arange(self.dim, 0, -1, dtype=like.dtype, device=like.device).log()


@default_chart.register
def _chart_of_simplex(space: Simplex) -> AdditiveLogRatio:
    return AdditiveLogRatio(space.dim)


@biject_to.register(SimplexConstraint)
def _biject_to_simplex(constraint: SimplexConstraint) -> StickBreaking:
    return StickBreaking(constraint.dim)


@transform_to.register(SimplexConstraint)
def _transform_to_simplex(constraint: SimplexConstraint) -> SoftmaxTransform:
    return SoftmaxTransform()
