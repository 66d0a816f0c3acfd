"""ManifoldFlow: a transform, a chart and a base distribution on a manifold make a density of data."""

from typing import cast

import torch
from pyro.distributions import TransformedDistribution
from torch import Tensor, nn
from torch.distributions.transforms import Transform

from .._geomstats import Manifold
from ..charts import Chart
from ..distributions import BaseDistribution, InChart
from .transform import call_and_ladj, full_precision

__all__ = ["ManifoldFlow"]


class ManifoldFlow(nn.Module):
    r"""Density of data x through :math:`z = T(x)` in R^d and a chart :math:`s = C(z)` on a manifold.

    .. math:: \log p(x) = \log p_{base}(C(T(x))) + \log |\det DC| + \log |\det DT|

    The densities are with respect to Lebesgue measure on x; the chart's log-volume is the one that
    matches the base's own reference measure.

    Args:
        transform: x -> z, usually a learned FlowTransform; any bijective torch Transform will do.
        chart: z -> s, from R^d onto the base's manifold.
        base: A distribution on the manifold with a `manifold` attribute. Its tensor parameters
            become buffers of this module, so that they follow `.to(...)` and are saved with it.

    Reference: Fadel et al. 2021 (arXiv 2010.12059), section 3.
    """

    def __init__(self, transform: Transform, chart: Chart, base: BaseDistribution) -> None:
        super().__init__()
        self.transform = transform
        self.chart = chart
        self._base_type = type(base)
        self._parameter_names = tuple(base.arg_constraints)
        self._fixed_base = None if self._parameter_names else base
        for name in self._parameter_names:
            value = getattr(base, name)
            if isinstance(value, nn.Parameter):
                self.register_parameter(f"base_{name}", value)
            else:
                self.register_buffer(f"base_{name}", value.clone())

    @property
    def base(self) -> BaseDistribution:
        """The base distribution on the manifold, with this module's dtype and device."""
        if self._fixed_base is not None:
            return self._fixed_base
        parameters = {name: getattr(self, f"base_{name}") for name in self._parameter_names}
        return self._base_type(**parameters, validate_args=False)  # they were checked when they came in

    @property
    def manifold(self) -> Manifold:
        """The space that the base lives on; its geodesics are the natural interpolants."""
        return self.base.manifold

    @property
    def chart_base(self) -> InChart:
        """The base distribution carried to R^d by the chart."""
        return InChart(self.base, self.chart, validate_args=False)

    @property
    def distribution(self) -> TransformedDistribution:
        """The model's distribution of data, for use with Pyro."""
        return TransformedDistribution(self.chart_base, [self.transform.inv])

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of data (*batch, *event) with respect to Lebesgue measure, shape (*batch)."""
        z, ladj = call_and_ladj(self.transform, x)
        with full_precision(z):
            return self.chart_base.log_prob(z) + ladj

    forward = log_prob  # so that wrappers which call the module (DistributedDataParallel) train it

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draws of data, shape (*sample_shape, *event); without gradients."""
        z = self.chart_base.sample(torch.Size(sample_shape))
        return cast(Tensor, self.transform.inv(z))

    def encode(self, x: Tensor) -> Tensor:
        """Points s on the manifold (*batch, n) of data (*batch, *event).

        Raises:
            ValueError: `x` is not of floating point, or holds NaN or infinite values.
        """
        if not x.is_floating_point():
            raise ValueError(f"x: expected floating-point data, got {x.dtype}; call manifoldflow.data.dequantise first")
        if not torch.isfinite(x).all():
            raise ValueError("x: expected finite values, got NaN or infinity; remove or replace them first")
        return cast(Tensor, self.chart(self.transform(x)))

    def decode(self, s: Tensor) -> Tensor:
        """Data (*batch, *event) of points on the manifold (*batch, n)."""
        return cast(Tensor, self.transform.inv(self.chart.inv(s)))
