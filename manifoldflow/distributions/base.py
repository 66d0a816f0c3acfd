"""What every base distribution is: a Pyro distribution of points that knows its manifold and its charts."""

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor

from .._geomstats import Manifold
from ..charts import Chart, default_chart

__all__ = ["BaseDistribution"]


class BaseDistribution(TorchDistribution):
    """A distribution of points `(*batch, n)` on a manifold, relative to the manifold's reference measure."""

    @property
    def manifold(self) -> Manifold:
        """The space that the points lie on."""
        raise NotImplementedError

    def default_chart(self) -> Chart:
        """The chart of the manifold that flows use unless told otherwise."""
        return default_chart(self.manifold)

    def log_prob_in_chart(self, chart: Chart, z: Tensor) -> Tensor:
        """Log density, with respect to Lebesgue measure on R^d, of the chart coordinates of a draw at `z`."""
        return self.log_prob(chart(z)) + chart.log_volume(z)

    def rsample_in_chart(self, chart: Chart, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Chart coordinates of draws, of shape `(*sample_shape, *batch, d)`."""
        return chart.inv(self.rsample(sample_shape))

    def check_chart(self, chart: Chart) -> None:
        """Raise ValueError unless the chart covers this distribution's points."""
        if (chart.ambient_dim,) != tuple(self.event_shape):
            raise ValueError(
                f"chart: expected points of shape {tuple(self.event_shape)} for {type(self).__name__}, "
                f"got {chart!r} with points of shape ({chart.ambient_dim},)"
            )
        # As many coordinates may be another manifold's: a sphere and a simplex both have d + 1.
        with torch.no_grad():
            covers = chart.dim == self.manifold.dim and bool(self.support.check(chart(torch.zeros(chart.dim))))
        if not covers:
            raise ValueError(
                f"chart: expected points on {self.manifold!r}, where {type(self).__name__} lives, got {chart!r}"
            )
