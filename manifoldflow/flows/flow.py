"""ManifoldFlow: a transform, a chart and a base distribution on a manifold make a density of data."""

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from pyro.distributions.torch_transform import TransformModule
from torch import Size, Tensor
from torch.distributions.transforms import Transform

from .._geomstats import Manifold
from ..charts import Chart
from ..checks import check_finite, check_integer, check_kind, check_tensors, describe
from ..distributions import BaseDistribution, InChart
from ..distributions.laws import law_of
from ..manifolds import Euclidean, is_eager
from .interface import Flow

__all__ = ["FlowTransform", "ManifoldFlow", "call_and_ladj", "full_precision"]


class FlowTransform(TransformModule):
    """A learned bijection x -> z that computes its value and log-volume together.

    Subclasses write `call_and_ladj` and `_inverse`; torch's separate methods follow from them.
    """

    bijective = True

    def __init__(self) -> None:
        super().__init__(cache_size=0)

    @abstractmethod
    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `x` and log |det dz/dx|, the latter of the batch shape."""

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det dz/dx| at `x`, of the batch shape; computed anew from `x`."""
        return self.call_and_ladj(x)[1]


def call_and_ladj(transform: Transform, x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and log-volume of any torch Transform, in one pass where it offers that.

    Raises:
        TypeError: `transform` is none, or `x` is not a tensor of floating point.
    """
    check_kind("transform", transform, Transform)
    check_tensors({"x": x})
    if hasattr(transform, "call_and_ladj"):
        return transform.call_and_ladj(x)
    y = transform(x)
    return y, transform.log_abs_det_jacobian(x, y)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """No autocast inside: what carries x, z or a log-determinant keeps their dtype; the networks may be rounded."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


class ManifoldFlow(Flow):
    r"""The flow whose data space is R^d: :math:`z = T(x)` in R^d, and a chart :math:`s = C(z)` on the base's manifold.

    .. math:: \log p(x) = \log p_{base}(C(T(x))) + \log |\det DC| + \log |\det DT|

    The densities are with respect to Lebesgue measure on x; the chart's log-volume is the one that
    matches the base's own reference measure. A flow of data on a manifold is the same without chart, see `Flow`, whose
    methods this has, `distribution()` among them; `manifold` is the space of the base, `space` that of the data.

    Args:
        transform: x -> z, usually a learned FlowTransform; any bijective torch Transform will do.
        chart: z -> s, from R^d onto the base's manifold.
        base: A distribution on the manifold, a mixture or a kernel density there, or independent laws (`Joint`). Its
            tensors become buffers of this module, so that they follow `.to(...)` and are saved with it; those that are
            Parameters are learned.
        context_dim: Size of the vectors that the transform is conditioned on, which its `call_and_ladj` and `_inverse`
            then take as a second argument; 0 for none.

    Raises:
        TypeError: `transform` is not a torch Transform, `chart` no chart, or `base` no distribution on a manifold.
        ValueError: The chart's points are not on the base's manifold.

    >>> from manifoldflow.flows import make_base
    >>> from torch.distributions.transforms import AffineTransform
    >>> chart, base, _ = make_base("vmf", 2)
    >>> flow = ManifoldFlow(AffineTransform(0.0, 2.0, event_dim=1), chart, base)
    >>> flow.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])

    Reference: Fadel et al. 2021 (arXiv 2010.12059), section 3.
    """

    def __init__(self, transform: Transform, chart: Chart, base: BaseDistribution, *, context_dim: int = 0) -> None:
        for name, value, kind in (("transform", transform, Transform), ("chart", chart, Chart)):
            if not isinstance(value, kind):
                raise TypeError(f"{name}: expected {_article(kind)}, got {describe(value)}")
        if not hasattr(base, "log_prob_in_chart"):
            raise TypeError(f"base: expected {_article(BaseDistribution)}, got {describe(base)}")
        base.check_chart(chart)
        super().__init__(None, base, context_dim)
        self.transform = transform
        self.chart = chart

    def __repr__(self) -> str:
        transform, base = (" ".join(repr(part).split()) for part in (self.transform, self.base))
        return f"ManifoldFlow({transform}, {self.chart!r}, {base})"

    @property
    def manifold(self) -> Manifold:
        """The space that the base lives on; its geodesics are the natural interpolants."""
        return self.base.manifold

    @property
    def space(self) -> Euclidean | None:
        """R^d if the data are vectors."""
        shape = self.event_shape
        return Euclidean(shape[0]) if len(shape) == 1 else None

    @property
    def event_shape(self) -> Size:
        """Of one data point."""
        return Size(self.transform.inverse_shape((self.chart.dim,)))

    @property
    def chart_base(self) -> InChart:
        """The base distribution carried to R^d by the chart."""
        return InChart(self.base, self.chart, validate_args=False)

    def encode_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The point s `(*batch, n)` on the manifold and the log-volume `(*batch,)` of x -> z and the chart."""
        z, ladj = self._to_chart(x, context)
        with full_precision(z):
            return cast(Tensor, self.chart(z)), self.chart.log_volume(z) + ladj

    def _to_chart(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        if context is None:
            return call_and_ladj(self.transform, x)
        return cast(Any, self.transform).call_and_ladj(x, context)

    def _from_chart(self, z: Tensor, context: Tensor | None) -> Tensor:
        transform: Any = self.transform
        return cast(Tensor, transform.inv(z) if context is None else transform._inverse(z, context))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of data (*batch, *event) with respect to Lebesgue measure, shape (*batch).

        Raises:
            TypeError: `x` is not a tensor.
            ValueError: `x` has another dtype, device or shape than the flow takes, or holds NaN or infinite values; no
                context where the flow takes one, or one where it does not.
        """
        self.check(x, context)
        return self.forward(x, context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """`log_prob` without its checks, which wrappers that call the module (DistributedDataParallel) train."""
        z, ladj = self._to_chart(x, context)
        with full_precision(z):
            return self.base.log_prob_in_chart(self.chart, z) + ladj

    @torch.no_grad()
    def sample(
        self, shape: Size | tuple[int, ...] = (), context: Tensor | None = None, *, temperature: float = 1.0
    ) -> Tensor:
        r"""Draws of data, shape (*shape, *context_batch, *event); without gradients.

        Args:
            shape: How many.
            context: As for `log_prob`.
            temperature: T. Below 1, points are drawn closer to the base's mode: from its density to the power
                :math:`1 / T^2`. Of a Gaussian this multiplies the standard deviation by T, as Glow's samples are drawn
                (Kingma and Dhariwal 2018, section 5); of a von Mises-Fisher it gives the concentration
                :math:`\kappa / T^2`, of a Dirichlet :math:`(\alpha - 1) / T^2 + 1`.

        Raises:
            TypeError: `shape` is not a tuple.
            ValueError: `temperature` is not positive and finite, or the base is not known at other temperatures than 1.
        """
        shape = _checked_shape(shape)
        self.check_context(context)
        if context is not None:
            shape = shape + context.shape[:-1]
            context = context.expand(*shape, self.context_dim)
        return self._drawn(law_of(self.base).at(temperature), shape, context)

    def rsample(self, shape: Size, context: Tensor | None = None) -> Tensor:
        """Draws `(*shape, *event)` given contexts `(*shape, context_dim)`; differentiable where the base's are."""
        return self._drawn(self.base, shape, context)

    def _drawn(self, base: BaseDistribution, shape: Size, context: Tensor | None) -> Tensor:
        return self._from_chart(base.rsample_in_chart(self.chart, shape), context)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Points s on the manifold (*batch, n) of data (*batch, *event).

        Raises:
            TypeError, ValueError: As for `log_prob`.
        """
        self.check(x, context)
        z = self.transform(x) if context is None else self._to_chart(x, context)[0]
        return cast(Tensor, self.chart(z))

    def decode(self, s: Tensor, context: Tensor | None = None) -> Tensor:
        """Data (*batch, *event) of points on the manifold (*batch, n).

        Raises:
            TypeError: `s` is not a tensor of floating point.
            ValueError: It has another dtype, device or number of coordinates than the flow's points.
        """
        check_tensors({"s": s}, (self.chart.ambient_dim,), of=f"points of {self.manifold!r}")
        self._check_like_weights("s", s)
        return self._from_chart(self.chart.inv(s), context)

    def check(self, x: Tensor, context: Tensor | None) -> None:
        """Raise unless data and context have the right kind, dtype and device, and are finite."""
        self._check_data(x)
        self.check_context(context)

    def _check_data(self, x: Tensor) -> None:
        if isinstance(x, Tensor) and not x.is_floating_point():
            raise ValueError(f"x: expected floating-point data, got {x.dtype}; call manifoldflow.data.dequantise first")
        check_tensors({"x": x})
        self._check_like_weights("x", x)
        if is_eager():
            check_finite(x=x)

    def _check_like_weights(self, name: str, value: Tensor) -> None:
        """Raise unless the learned weights, if there are any, have the dtype and device of `value`."""
        weight = next(self.parameters(), value)
        if weight.dtype != value.dtype and not torch.is_autocast_enabled(value.device.type):
            raise ValueError(
                f"{name}: expected {weight.dtype} as the flow's weights, got {value.dtype}; convert it with "
                f".to({weight.dtype}), or the flow with flow.to({value.dtype})"
            )
        if weight.device != value.device:
            raise ValueError(
                f"{name}: expected data on {weight.device}, where the flow is, got {value.device}; move one of them"
            )


def _article(kind: type) -> str:
    return f"a {kind.__module__.partition('.')[0]} {kind.__name__}"


def _checked_shape(shape: Any) -> Size:
    if not isinstance(shape, tuple | list):
        remedy = f"; write ({shape},)" if isinstance(shape, int) else ""
        raise TypeError(f"shape: expected a tuple of integers, got {describe(shape)}{remedy}")
    return Size(check_integer(f"shape[{i}]", size, 0) for i, size in enumerate(shape))
