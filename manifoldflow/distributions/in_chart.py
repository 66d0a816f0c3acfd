"""The law of a base distribution's points in the coordinates of a chart: a density on R^d."""

from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import constraints

from .._geomstats import Manifold
from ..charts import Chart
from ..manifolds import Euclidean, Simplex
from .base import BaseDistribution, CheckedDistribution
from .laws import Law, law_of
from .lifts import Through

__all__ = ["InChart"]


class InChart(CheckedDistribution):
    r"""Distribution of :math:`z = \mathrm{chart}^{-1}(s)` for s from a base distribution, on R^d.

    Args:
        base: A distribution on a manifold.
        chart: A chart of it; the base's default chart if not given.

    log density: :math:`\log p(\mathrm{chart}(z)) + \log\text{-volume}(z)`, collected so that no vanished
    coordinate is divided by or taken the log of. Samples of simplex distributions stay in log space.

    Raises:
        ValueError: The chart's points are not on the base's manifold.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real_vector

    def __init__(
        self, base: BaseDistribution, chart: Chart | None = None, *, validate_args: bool | None = None
    ) -> None:
        self.base = base
        self.chart = base.default_chart() if chart is None else chart
        base.check_chart(self.chart)
        super().__init__(base.batch_shape, Size((self.chart.dim,)), validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = super().expand(batch_shape, _instance)
        new.base = self.base.expand(batch_shape)
        return new

    def __repr__(self) -> str:
        return f"InChart({self.base!r}, {self.chart!r})"

    @property
    def _dtype(self) -> torch.dtype:
        return self.base._dtype

    @property
    def has_rsample(self) -> bool:
        return self.base.has_rsample

    @property
    def manifold(self) -> Manifold:
        """The manifold of the base."""
        return self.base.manifold

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to Lebesgue measure on R^d at `value`, `(*batch, d)`."""
        value = self._checked(value)
        return self.base.log_prob_in_chart(self.chart, value)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        return self.base.rsample_in_chart(self.chart, sample_shape)


@law_of.register
def _(base: InChart) -> Law:
    law = law_of(base.base)
    # Coordinates that vanish on the simplex are infinite in a chart: there is no way back for all points.
    lift = None if law.lift is None or isinstance(law.space, Simplex) else Through(law.lift, base.chart)
    return Law.of(base, f"{law.title} in a chart", space=Euclidean(base.event_shape[-1]), lift=lift)
