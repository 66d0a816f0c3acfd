"""Integrating a velocity on a space: torchdiffeq with a projection, or geodesic steps of fixed order."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_choice, check_integer, check_number
from ...errors import IntegrationError
from ...manifolds import broadcasting
from .divergence import project_to_space, smooth_projection

__all__ = ["METHODS", "Solution", "Solver", "integrate"]

ADAPTIVE = ("dopri5", "dopri8", "bosh3")
PROJECTED = ("euler", "midpoint", "rk4")
GEODESIC = ("geodesic-euler", "geodesic-midpoint", "geodesic-rk4")
METHODS = ADAPTIVE + PROJECTED + GEODESIC

Velocity = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a time () and points to velocities there and what else is to be integrated (rates `(k, *batch)`)."""


@dataclass(frozen=True)
class Solver:
    """How to integrate.

    Attributes:
        method: An adaptive method of torchdiffeq ("dopri5", "dopri8", "bosh3"), one of fixed steps in the ambient space
            ("euler", "midpoint", "rk4": orders 1, 2, 4), or geodesic steps of fixed size ("geodesic-euler",
            "geodesic-midpoint", "geodesic-rk4": orders 1, 2, 4), which never leave the space.
        tolerance: Relative and absolute, of the adaptive methods; it holds for every point of a batch.
        steps: Of the others.
    """

    method: str = "dopri5"
    tolerance: float = 1e-6
    steps: int = 20

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_number("tolerance", self.tolerance, positive=True)
        check_integer("steps", self.steps)

    @property
    def adaptive(self) -> bool:
        """Whether the method chooses its steps by the tolerance."""
        return self.method in ADAPTIVE

    def finer(self) -> "Solver":
        """Half the tolerance, or twice the steps."""
        return replace(self, tolerance=self.tolerance / 2) if self.adaptive else replace(self, steps=2 * self.steps)


@dataclass(frozen=True)
class Solution:
    """Where the points went.

    Attributes:
        points: `(*batch, *event)`.
        integrals: What else was integrated, `(k, *batch)`.
        evaluations: How often the field was evaluated at every point.
    """

    points: Tensor
    integrals: Tensor
    evaluations: int


class _Counted:
    """A velocity on the space, extended to its surroundings by a projection, if there is one; counts its calls."""

    def __init__(self, velocity: Velocity, project: Callable[[Tensor], Tensor] | None) -> None:
        self.velocity, self.project, self.calls = velocity, project, 0

    def __call__(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return self.velocity(t, state[0] if self.project is None else self.project(state[0]))


def integrate(
    velocity: Velocity, space: Manifold, x: Tensor, extra: Tensor, *, start: float, end: float, solver: Solver
) -> Solution:
    """Follow a velocity from time `start` to `end`, which may be earlier.

    Args:
        velocity: From a time () and points to velocities and the rates of `extra`.
        space: The space that the points move on.
        x: Points `(*batch, *event)`.
        extra: Initial values `(k, *batch)` of what else is integrated; k may be 0.
        start: Time of `x`.
        end: Time wanted.
        solver: How.

    Raises:
        IntegrationError: The step size fell to nothing, or a value became NaN or infinite.
        ImportError: An adaptive method without torchdiffeq.
        ValueError: "geodesic-rk4" on a space whose curvature is not constant.
    """
    # Foreign projections need not be smooth: between steps their tangent fields stay near the space by themselves.
    field = _Counted(velocity, None if solver.method in GEODESIC else smooth_projection(space))
    if x.numel() == 0:
        return Solution(x, extra, 0)
    if solver.method in GEODESIC:
        points, integrals = _geodesic_steps(field, space, (x, extra), start, end, solver)
    else:
        points, integrals = _torchdiffeq(field, (x, extra), start, end, solver)
        points = project_to_space(space, points)
    if not bool(torch.isfinite(points).all() & torch.isfinite(integrals).all()):
        raise IntegrationError(
            f"{solver.method}: a value became NaN or infinite between times {start:g} and {end:g}, after {field.calls} "
            "evaluations; check the field and the points, or lower the tolerance"
        )
    return Solution(points, integrals, field.calls)


def _torchdiffeq(
    field: _Counted, state: tuple[Tensor, Tensor], start: float, end: float, solver: Solver
) -> tuple[Tensor, Tensor]:
    try:
        from torchdiffeq import odeint
    except ImportError as error:
        raise ImportError(
            f"the method {solver.method} needs torchdiffeq; install it with pip install 'manifoldflow[ode]', "
            "or use solver=Solver('geodesic-midpoint')"
        ) from error
    times = torch.tensor([start, end], dtype=state[0].dtype, device=state[0].device)
    options: dict[str, Any] = {"rtol": solver.tolerance, "atol": solver.tolerance, "options": {"norm": _worst}}
    if not solver.adaptive:
        options = {"options": {"step_size": abs(end - start) / solver.steps}}
    try:
        path, integrals = odeint(field, state, times, method=solver.method, **options)
    except AssertionError as error:  # torchdiffeq's "underflow in dt"
        raise IntegrationError(
            f"{solver.method}: the step size fell to nothing between times {start:g} and {end:g} ({error}); "
            "the field may be too steep: raise the tolerance, train it longer, or use fixed steps"
        ) from error
    return path[-1], integrals[-1]


def _worst(state: tuple[Tensor, Tensor]) -> Tensor:
    """The largest root mean square of a point's coordinates, or integral: torchdiffeq's own averages over the batch."""
    points, integrals = state
    largest = points.flatten(1).square().mean(-1).amax() if points.ndim > 1 else points.square().mean()
    return (torch.maximum(largest, integrals.square().amax()) if integrals.numel() else largest).sqrt()


def _geodesic_steps(
    field: _Counted, space: Manifold, state: tuple[Tensor, Tensor], start: float, end: float, solver: Solver
) -> tuple[Tensor, Tensor]:
    step = _STEPS[solver.method]
    metric = broadcasting(space.metric)
    if solver.method == "geodesic-rk4" and getattr(metric, "constant_curvature", None) is None:
        raise ValueError(
            f"method: expected a space of constant curvature for geodesic-rk4, got {space!r}; "
            "use rk4, or geodesic-midpoint"
        )
    x, extra = state
    h = (end - start) / solver.steps
    for i in range(solver.steps):
        x, extra = step(field, metric, x, extra, torch.as_tensor(start + i * h, dtype=x.dtype, device=x.device), h)
    return x, extra


def _euler(field: _Counted, metric: Any, x: Tensor, extra: Tensor, t: Tensor, h: float) -> tuple[Tensor, Tensor]:
    v, rate = field(t, (x, extra))
    return metric.exp(h * v, x), extra + h * rate


def _midpoint(field: _Counted, metric: Any, x: Tensor, extra: Tensor, t: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """Along the velocity halfway, transported back to the start of the step."""
    v, _ = field(t, (x, extra))
    move = 0.5 * h * v
    half = metric.exp(move, x)
    middle, rate = field(t + 0.5 * h, (half, extra))
    back = metric.parallel_transport(middle, half, direction=-metric.parallel_transport(move, x, direction=move))
    return metric.exp(h * back, x), extra + h * rate


def _rk4(field: _Counted, metric: Any, x: Tensor, extra: Tensor, t: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """The classical method in normal coordinates u of the step's first point, y = exp_x(u).

    There u' = (D exp_x)_u^{-1} v(y): the velocity transported back to x, with its part across u stretched by
    r sqrt(K) / sin(r sqrt(K)), r = |u|, at constant curvature K.
    """
    v1, rate1 = field(t, (x, extra))
    u2 = 0.5 * h * v1
    v2, rate2 = _pulled(field, metric, x, extra, t + 0.5 * h, u2)
    u3 = 0.5 * h * v2
    v3, rate3 = _pulled(field, metric, x, extra, t + 0.5 * h, u3)
    v4, rate4 = _pulled(field, metric, x, extra, t + h, h * v3)
    mean = (v1 + 2 * v2 + 2 * v3 + v4) / 6
    return metric.exp(h * mean, x), extra + h * (rate1 + 2 * rate2 + 2 * rate3 + rate4) / 6


def _pulled(field: _Counted, metric: Any, x: Tensor, extra: Tensor, t: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    y = metric.exp(u, x)
    v, rate = field(t, (y, extra))
    back = metric.parallel_transport(v, y, direction=-metric.parallel_transport(u, x, direction=u))
    square = metric.squared_norm(u, x)
    safe = torch.where(square > 0, square, 1)
    along = (metric.inner_product(back, u, x) / safe)[..., None] * u
    return along + _stretch(metric.constant_curvature * square)[..., None] * (back - along), rate


def _stretch(a: Tensor) -> Tensor:
    """sqrt(a) / sin(sqrt(a)), with sinh for negative a; 1 + a/6 + 7 a^2/360 near 0."""
    small = a.abs() < 1e-4
    root = torch.where(small, 1.0, a.abs()).sqrt()
    exact = torch.where(a > 0, root / root.clamp_max(math.pi - 1e-3).sin(), root / root.sinh())
    return torch.where(small, 1 + a / 6 + 7 * a.square() / 360, exact)


_STEPS = {"geodesic-euler": _euler, "geodesic-midpoint": _midpoint, "geodesic-rk4": _rk4}
