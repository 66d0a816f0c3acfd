"""What every base distribution is: a Pyro distribution of points that knows its manifold and its charts."""

from typing import Any, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions.constraints import Constraint, is_dependent

from .._geomstats import Manifold
from ..charts import Chart, default_chart
from ..checks import describe
from ..manifolds import is_eager
from .constraints import expectation, finding

__all__ = ["BaseDistribution", "CheckedDistribution", "Parameter", "draw_components"]


_CHARTS = [(kind, make) for kind, make in default_chart.registry.items() if kind is not object]


class Parameter:
    """A parameter that is kept as it was given, and takes its batch shape (and another's dtype) where it is read.

    An expanded leaf is a view, which torch neither copies nor averages; so the leaf itself is kept.

    Args:
        event_dim: 1 if it has the event's dimension, 2 for a square matrix of it, 0 for one number a distribution.
        like: The name of the parameter whose dtype and device this one takes.
    """

    def __init__(self, event_dim: int = 0, like: str | None = None) -> None:
        self.event_dim = event_dim
        self.like = None if like is None else f"_{like}"

    def __set_name__(self, owner: type, name: str) -> None:
        self.slot = f"_{name}"

    def __get__(self, law: Any, owner: type | None = None) -> Any:
        if law is None:
            return self
        value = getattr(law, self.slot)
        if self.like is not None:
            value = value.to(getattr(law, self.like))
        shape = law._batch_shape + law._event_shape * self.event_dim
        return value if value.shape == shape else value.expand(shape)

    def __set__(self, law: Any, value: Tensor) -> None:
        setattr(law, self.slot, value)


class CheckedDistribution(TorchDistribution):
    """A Pyro distribution that says by name what is wrong, promotes integers as torch does, and can be traced.

    Values are looked at in eager execution only: under torch.compile, vmap and the like they are trusted.
    """

    _validate_args: bool

    def __init__(self, batch_shape: Size, event_shape: Size, *, validate_args: bool | None = None) -> None:
        super().__init__(batch_shape, event_shape, validate_args=False)
        if validate_args is None:
            del self._validate_args  # back to the default of the class
        else:
            self._validate_args = validate_args
        if self._validate_args and is_eager():
            for name, constraint in self.arg_constraints.items():
                if not is_dependent(constraint):
                    _require(f"parameter {name}", getattr(self, name), constraint)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = self._get_checked_instance(type(self), _instance)
        batch_shape = Size(batch_shape)
        if torch.broadcast_shapes(self.batch_shape, batch_shape) != batch_shape:
            raise ValueError(f"batch_shape: expected one that {tuple(self.batch_shape)} expands to, got {batch_shape}")
        vars(new).update(vars(self))
        new._batch_shape = batch_shape
        return new

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            value = getattr(self, name)
            shown.append(f"{name}: {value.item() if value.numel() == 1 and not value.is_meta else tuple(value.shape)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def _dtype(self) -> torch.dtype:
        """That of the parameters, and of draws."""
        for name in self.arg_constraints:
            return getattr(self, name).dtype
        return torch.get_default_dtype()

    def _as_value(self, value: Any, name: str = "value") -> Tensor:
        """A value as a floating-point tensor: integers in the dtype of the parameters."""
        if not isinstance(value, Tensor) or value.is_complex():
            raise TypeError(f"{name}: expected a tensor of real numbers, got {describe(value)}; convert it first")
        return value if value.is_floating_point() else value.to(self._dtype)

    def _checked(self, value: Any) -> Tensor:
        """The same for a point, which must lie in the support where validation is on."""
        value = self._as_value(value)
        if self._validate_args:
            self._validate_sample(value)
        return value

    def _validate_sample(self, value: Tensor) -> None:
        event = len(self._event_shape)
        if event > value.dim() or value.shape[value.dim() - event :] != self._event_shape:
            raise ValueError(
                f"value: expected event_shape {tuple(self._event_shape)} in the last dimensions, got {describe(value)}"
            )
        try:
            torch.broadcast_shapes(value.shape[: value.dim() - event], self._batch_shape)
        except RuntimeError:
            raise ValueError(
                f"value: expected leading dimensions that broadcast with the batch shape {tuple(self._batch_shape)}, "
                f"got {describe(value)}"
            ) from None
        if value.is_meta:
            raise ValueError(f"value: expected a tensor with values, got {describe(value)}")
        if is_eager() and self.support is not None:
            _require("value (within the support)", value, self.support)


def _require(name: str, value: Tensor, constraint: Constraint) -> None:
    """Raise ValueError unless every entry meets the constraint."""
    if value.is_meta:
        raise ValueError(f"{name}: expected a tensor with values, got {describe(value)}")
    if not value.numel():
        return
    valid = constraint.check(value.detach())
    if not bool(valid.all()):
        index = tuple(int(i) for i in (~valid).nonzero()[0])
        got = finding(constraint, value.detach()[index])
        at = f" at index {index}" if index else ""
        raise ValueError(f"{name}: expected {expectation(constraint)}, got {got}{at}")


class BaseDistribution(CheckedDistribution):
    """A distribution of points `(*batch, n)` on a manifold, relative to the manifold's reference measure."""

    @property
    def manifold(self) -> Manifold:
        """The space that the points lie on."""
        raise NotImplementedError

    def default_chart(self) -> Chart:
        """The chart of the manifold that flows use unless told otherwise."""
        space = self.manifold
        if torch.compiler.is_compiling():  # torch's compiler does not follow singledispatch
            return next(make for kind, make in _CHARTS if isinstance(space, kind))(space)
        return default_chart(space)

    def log_prob_in_chart(self, chart: Chart, z: Tensor) -> Tensor:
        """Log density, with respect to Lebesgue measure on R^d, of the chart coordinates of a draw at `z`."""
        return self.log_prob(chart(z)) + chart.log_volume(z)

    def rsample_in_chart(self, chart: Chart, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Chart coordinates of draws, of shape `(*sample_shape, *batch, d)`; with gradients if draws have them."""
        return chart.inv(self.rsample(sample_shape) if self.has_rsample else self.sample(sample_shape))

    def check_chart(self, chart: Chart) -> None:
        """Raise ValueError unless the chart covers this distribution's points."""
        if (chart.ambient_dim,) != tuple(self.event_shape):
            raise ValueError(
                f"chart: expected points of shape {tuple(self.event_shape)} for {type(self).__name__}, "
                f"got {chart!r} with points of shape ({chart.ambient_dim},)"
            )
        # As many coordinates may be another manifold's: a sphere and a simplex both have d + 1.
        covers = chart.dim == self.manifold.dim
        if covers and is_eager():
            with torch.no_grad():
                covers = bool(self.support.check(chart(torch.zeros(chart.dim))))
        if not covers:
            raise ValueError(
                f"chart: expected points on {self.manifold!r}, where {type(self).__name__} lives, got {chart!r}"
            )


def draw_components(weights: Tensor, shape: Size) -> Tensor:
    """Numbers of components, of this shape, drawn by their weights `(k,)`; torch does not draw none."""
    return torch.multinomial(weights, max(1, shape.numel()), replacement=True)[: shape.numel()].reshape(shape)
