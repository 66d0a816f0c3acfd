"""ManifoldFlow: a transform, a chart and a base distribution on a manifold make a density of data."""

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from pyro.distributions import TransformedDistribution
from pyro.distributions.torch_transform import TransformModule
from torch import Tensor, nn
from torch.distributions.transforms import Transform

from .._geomstats import Manifold
from ..charts import Chart
from ..checks import check_finite, check_integer, check_kind, check_tensors, describe
from ..distributions import BaseDistribution, InChart
from ..distributions.laws import law_of
from ..manifolds import is_eager

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


@dataclass(frozen=True)
class _Built:
    """A base, and the tensors it was built from as they were then."""

    parameters: tuple[Tensor, ...]
    versions: tuple[int, ...]
    base: BaseDistribution
    in_chart: InChart

    def is_of(self, parameters: tuple[Tensor, ...]) -> bool:
        same = len(parameters) == len(self.parameters) and all(a is b for a, b in zip(parameters, self.parameters))
        return same and _versions(parameters) == self.versions


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors)  # grows with every change in place


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

    def __init__(self, transform: Transform, chart: Chart, base: BaseDistribution) -> None:
        for name, value, kind in (
            ("transform", transform, Transform),
            ("chart", chart, Chart),
            ("base", base, BaseDistribution),
        ):
            if not isinstance(value, kind):
                package = kind.__module__.partition(".")[0]
                raise TypeError(f"{name}: expected a {package} {kind.__name__}, got {describe(value)}")
        base.check_chart(chart)
        super().__init__()
        self.transform = transform
        self.chart = chart
        self._base_type = type(base)
        self._parameter_names = tuple(base.arg_constraints)
        self._fixed_base = None if self._parameter_names else base
        self._built: _Built | None = None
        for name in self._parameter_names:
            value = getattr(base, name)
            if isinstance(value, nn.Parameter):
                self.register_parameter(f"base_{name}", value)
            else:
                self.register_buffer(f"base_{name}", value.clone())

    def __repr__(self) -> str:
        transform, base = (" ".join(repr(part).split()) for part in (self.transform, self.base))
        return f"ManifoldFlow({transform}, {self.chart!r}, {base})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}  # what a copy builds is its own

    def _build(self) -> _Built:
        """The base of the module's tensors as they are; built anew only if one of them has changed."""
        parameters = tuple(cast(Tensor, getattr(self, f"base_{name}")) for name in self._parameter_names)
        # A base of parameters that are learned has to be part of each call's graph.
        fixed = not any(value.requires_grad or value.is_inference() for value in parameters)
        kept = fixed and is_eager() and not torch.is_inference_mode_enabled()
        if kept and self._built is not None and self._built.is_of(parameters):
            return self._built
        base = self._fixed_base
        if base is None:  # what came in was checked then
            base = self._base_type(**dict(zip(self._parameter_names, parameters)), validate_args=False)
        versions = _versions(parameters) if kept else ()
        built = _Built(parameters, versions, base, InChart(base, self.chart, validate_args=False))
        if kept:
            self._built = built
        return built

    @property
    def base(self) -> BaseDistribution:
        """The base distribution on the manifold, with this module's dtype and device."""
        return self._build().base

    @property
    def manifold(self) -> Manifold:
        """The space that the base lives on; its geodesics are the natural interpolants."""
        return self.base.manifold

    @property
    def chart_base(self) -> InChart:
        """The base distribution carried to R^d by the chart."""
        return self._build().in_chart

    @property
    def distribution(self) -> TransformedDistribution:
        """The model's distribution of data, for use with Pyro."""
        return TransformedDistribution(self.chart_base, [self.transform.inv])

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of data (*batch, *event) with respect to Lebesgue measure, shape (*batch).

        Raises:
            TypeError: `x` is not a tensor.
            ValueError: `x` has another dtype, device or shape than the flow takes, or holds NaN or infinite values.
        """
        self._check_data(x)
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """`log_prob` without its checks, which wrappers that call the module (DistributedDataParallel) train."""
        z, ladj = call_and_ladj(self.transform, x)
        with full_precision(z):
            return self.base.log_prob_in_chart(self.chart, z) + ladj

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | tuple[int, ...] = (), *, temperature: float = 1.0) -> Tensor:
        r"""Draws of data, shape (*sample_shape, *event); without gradients.

        Args:
            sample_shape: How many.
            temperature: T. Below 1, points are drawn closer to the base's mode: from its density to the power
                :math:`1 / T^2`. Of a Gaussian this multiplies the standard deviation by T, as Glow's samples are drawn
                (Kingma and Dhariwal 2018, section 5); of a von Mises-Fisher it gives the concentration
                :math:`\kappa / T^2`, of a Dirichlet :math:`(\alpha - 1) / T^2 + 1`.

        Raises:
            TypeError: `sample_shape` is not a tuple.
            ValueError: `temperature` is not positive and finite, or the base is not known at other temperatures than 1.
        """
        base = law_of(self.base).at(temperature)
        z = base.rsample_in_chart(self.chart, _checked_shape(sample_shape))
        return cast(Tensor, self.transform.inv(z))

    def encode(self, x: Tensor) -> Tensor:
        """Points s on the manifold (*batch, n) of data (*batch, *event).

        Raises:
            TypeError, ValueError: As for `log_prob`.
        """
        self._check_data(x)
        return cast(Tensor, self.chart(self.transform(x)))

    def decode(self, s: Tensor) -> Tensor:
        """Data (*batch, *event) of points on the manifold (*batch, n).

        Raises:
            TypeError: `s` is not a tensor of floating point.
            ValueError: It has another dtype, device or number of coordinates than the flow's points.
        """
        check_tensors({"s": s}, (self.chart.ambient_dim,), of=f"points of {self.manifold!r}")
        self._check_like_weights("s", s)
        return cast(Tensor, self.transform.inv(self.chart.inv(s)))

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


def _checked_shape(sample_shape: Any) -> torch.Size:
    if not isinstance(sample_shape, tuple | list):
        remedy = f"; write ({sample_shape},)" if isinstance(sample_shape, int) else ""
        raise TypeError(f"sample_shape: expected a tuple of integers, got {describe(sample_shape)}{remedy}")
    return torch.Size(check_integer(f"sample_shape[{i}]", size, 0) for i, size in enumerate(sample_shape))
