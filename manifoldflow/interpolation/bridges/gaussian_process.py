"""A stationary Gaussian process tied to any number of points."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...checks import as_tensor
from ..paths.points import (
    as_points,
    check_event_dim,
    check_times,
    check_vector_of_times,
    pair_of_points,
    product_is_exact,
    weighted_sum,
)
from .bridge import Bridge
from .factor import NotPositiveDefiniteError, factor, markov_residual, multiply
from .kernels import ExponentialPower, Kernel, OrnsteinUhlenbeck, _positive

__all__ = ["GaussianProcessBridge", "GaussianProcessPaths", "GaussianProcessWalk"]


class _Custom(Kernel):
    """A user's function of the lag."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def variogram(self, lag: Tensor) -> Tensor:
        return 1 - self.function(lag)


class GaussianProcessPaths(Bridge):
    r"""A stationary Gaussian process with independent N(0, 1) coordinates, given its values at some times.

    Args:
        points: Values `(*batch, k, *event)`, k at least 1; use `GaussianProcessWalk` for none.
        at: Their times `(k,)` in [0, 1], strictly increasing; None for equally spaced ones from 0 to 1.
        kernel: A `Kernel`, or a function of the lag with k(0) = 1, whose Gram matrix is then checked at every
            use.
        horizon: Length T of the time axis in units of the kernel: time t of the path is time t T of the
            process.
        event_dim: Number of dimensions of one point.

    Raises:
        ValueError: The kernel is not positive definite, or does not tell two of the times apart.

    The covariance is the same for every coordinate and every pair, so one factorisation serves them all, and
    it is kept for the next call with the same times. The Ornstein-Uhlenbeck kernel is Markov and needs none.
    Between end points drawn from the process itself, whose correlation is k(T), every marginal is N(0, 1). Between
    independent draws it is so only as k(T) -> 0: a short bridge passes nearer to the origin, as a straight line does.
    """

    def __init__(
        self,
        points: Any,
        at: Any = None,
        *,
        kernel: Kernel | Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        check_event_dim(event_dim)
        points = as_points("points", points, event_dim + 1)
        axis = points.ndim - event_dim - 1
        k = points.shape[axis]
        if at is None:
            at = torch.linspace(0, 1, k, dtype=torch.float64)
        self.at = check_times(at, torch.empty((), dtype=torch.float64, device=points.device), increasing=True)
        if self.at.shape != (k,):
            raise ValueError(f"at: expected one time for each of the {k} points, got shape {tuple(self.at.shape)}")
        self.kernel = _as_kernel(kernel)
        self.horizon = _positive("horizon", horizon)
        self.points = points
        self.batch_shape, self.event_shape = points.shape[:axis], points.shape[axis + 1 :]
        self.like = points
        self._flat = points.flatten(axis + 1)
        self._kept: tuple[Tensor, Tensor, bool] | None = None
        self._check_ties()

    def _check_ties(self) -> None:
        self._check_definite(self.at)
        if len(self.at) > 1:
            self.kernel.check_horizon(self.horizon * float(self.at[-1] - self.at[0]))
        self._tie, info = torch.linalg.cholesky_ex(self._gram(self.at, self.at))
        # Two points are handled by the variogram, however close; more of them through this factor.
        if len(self.at) > 2 and (int(info) or float(self._tie.diagonal().min()) < 1e-6):
            raise ValueError(
                f"at: {type(self.kernel).__name__} hardly tells some of the {len(self.at)} times apart (its "
                f"Gram matrix is singular); use fewer points, a longer horizon or a rougher kernel"
            )

    def _check_definite(self, times: Tensor) -> None:
        """Refuse a user's function whose Gram matrix at `times` and a regular grid has a negative eigenvalue."""
        if not isinstance(self.kernel, _Custom):
            return
        zero = self.kernel(times.new_zeros(1))
        if not torch.allclose(zero, torch.ones_like(zero)):
            raise ValueError(f"kernel: expected k(0) = 1, got {float(zero):g}; divide the kernel by k(0)")
        grid = torch.cat([times, torch.linspace(0, 1, 64, dtype=times.dtype, device=times.device)])
        least = float(torch.linalg.eigvalsh(self._gram(grid, grid)).min())
        if not least > -1e-8 * len(grid):
            raise ValueError(
                f"kernel: expected a positive-definite function, but its Gram matrix on {len(grid)} times up to "
                f"{self.horizon:g} has the eigenvalue {least:.3g}; no process has it as covariance"
            )

    def _gram(self, first: Tensor, last: Tensor) -> Tensor:
        return self.kernel((first[:, None] - last[None, :]) * self.horizon)

    def _ties(self, t: Tensor) -> Tensor:
        """Weights of the given points in the mean at `t`, `(m, k)`, float64."""
        if len(self.at) == 2:
            # From the variogram u = 1 - k, since 1 - k(T)^2 and the numerators vanish together as T -> 0.
            u = self.kernel.variogram((t[:, None] - self.at) * self.horizon)
            whole = self.kernel.variogram((self.at[1] - self.at[0]) * self.horizon)
            return (u.flip(-1) + whole - u - u.flip(-1) * whole) / (whole * (2 - whole))
        return torch.cholesky_solve(self._gram(self.at, t), self._tie).T

    def _times64(self, t: Tensor) -> Tensor:
        return self._on_ties(check_vector_of_times(check_times(t, self.at)))

    def _on_ties(self, times: Tensor) -> Tensor:
        """Times in float64, with those that are an inner tie's to the digits of float32 put on it.

        1/3 is another number there, and the process would move between the two.
        """
        times = times.to(self.at)
        inner = (self.at > 0) & (self.at < 1)
        slack = torch.where(inner, torch.finfo(torch.float32).eps * self.at, 0)
        for tie, margin in zip(self.at.unbind(), slack.unbind()):
            times = torch.where((times - tie).abs() <= margin, tie, times)
        return times

    def mean(self, t: Tensor) -> Tensor:
        """Mean at times `t` `(m,)`, as `(*batch, m, *event)`."""
        weights = self._exact_ties(self._times64(t)).to(self.like.dtype)
        return weighted_sum(weights, self._flat, 1).unflatten(-1, self.event_shape)

    def covariance(self, t: Tensor) -> Tensor:
        """Covariance between times `t`, `(m, m)`, the same for every coordinate; coordinates are independent."""
        return self._covariance(self._times64(t)).to(self.like.dtype)

    def variance(self, t: Tensor) -> Tensor:
        """Variance of every coordinate at times `t`, `(m,)`."""
        return self.covariance(t).diagonal()

    def _covariance(self, t: Tensor) -> Tensor:
        full = self._gram(t, t)
        if len(self.at):
            full = full - self._ties(t) @ self._gram(self.at, t)
            pinned = (t[:, None] == self.at).any(-1)
            full = full * ~(pinned[:, None] | pinned)
        return (full + full.T) / 2

    def log_prob(self, values: Any, t: Tensor) -> Tensor:
        """Log-density of `values` `(*sample, *batch, m, *event)` at increasing times `t`, `(*sample,
        *batch)`.

        With respect to Lebesgue measure on the coordinates at the times that are not tied, in nats; -inf
        where the value at a tied time is not the given point.

        Raises:
            ValueError: The times are so close that the covariance is singular in float64 (smooth kernels).
        """
        times = self._on_ties(check_vector_of_times(check_times(t, self.at, increasing=True)))
        value = as_tensor("values", values, dtype=self.like.dtype, device=self.like.device).to(self.like)
        if value.shape[value.ndim - 1 - len(self.event_shape) :] != (len(times), *self.event_shape):
            raise ValueError(
                f"values: expected shape (..., {len(times)}, {', '.join(map(str, self.event_shape))}), got "
                f"{tuple(value.shape)}"
            )
        flat = value.flatten(value.ndim - len(self.event_shape))
        rest = flat.double() - self._ties(times) @ self._flat.double()
        tied = (times[:, None] == self.at).any(-1)
        lower, info = torch.linalg.cholesky_ex(self._covariance(times)[~tied][:, ~tied])
        if int(info):
            raise ValueError(
                f"t: {len(times)} times up to {self.horizon:g} give {type(self.kernel).__name__} a "
                f"covariance that is singular in float64, so paths have no density; use fewer times"
            )
        scaled = torch.linalg.solve_triangular(lower, rest[..., ~tied, :], upper=False)
        n = flat.shape[-1]
        log_volume = n * (lower.diagonal().log().sum() + 0.5 * len(lower) * math.log(2 * math.pi))
        density = -0.5 * scaled.square().sum((-2, -1)) - log_volume
        slack = 8 * torch.finfo(self.like.dtype).eps * (1 + flat[..., tied, :].abs())
        fits = (rest[..., tied, :].abs() <= slack).all(-1).all(-1)
        return torch.where(fits, density, -torch.inf).to(self.like.dtype)

    def _sample(
        self, t: Tensor, sample_shape: torch.Size, generator: torch.Generator | None, chunk: int | None
    ) -> Tensor:
        times = self._on_ties(t)
        leading = (*sample_shape, *self.batch_shape)
        n, rows = self.event_shape.numel(), torch.Size(leading).numel()
        out = self.like.new_empty(rows, len(t), n)
        differentiable = self._flat.requires_grad and torch.is_grad_enabled()
        ties = self._exact_ties(times).to(out.dtype)
        points = self._flat.detach().expand(*leading, *self._flat.shape[-2:]).reshape(rows, len(self.at), n)
        rate = self._markov_rate()
        lower, triangular = (None, False) if rate is not None else self._factor(times)
        # Without a factor nothing is alive beside the output. The noise for one takes at most 64 MiB, or one
        # path.
        width = 0 if lower is None else lower.shape[-1] * n
        size = chunk or max(1, rows if not width else (1 << 24) // width)
        for part, tied in zip(out.split(size), points.split(size)):
            if lower is None:
                markov_residual(part, times, self.at, rate or 0.0, generator)
            else:
                shape = (len(part), lower.shape[-1], n)
                noise = torch.randn(shape, dtype=out.dtype, device=out.device, generator=generator)
                multiply(lower.to(out.dtype), noise, part, triangular=triangular)
            if not len(self.at) or differentiable:
                continue
            if product_is_exact(part):
                part.baddbmm_(ties.expand(len(part), *ties.shape), tied)
            else:
                part.add_(weighted_sum(ties, tied, 1))
        out = out.reshape(*leading, len(t), n)
        if len(self.at) and differentiable:
            out = out + weighted_sum(ties, self._flat, 1)
        return out.reshape(*out.shape[:-1], *self.event_shape)

    def _exact_ties(self, times: Tensor) -> Tensor:
        """`_ties` with exact unit vectors at the tied times, so that samples pass through the points themselves."""
        own = times[:, None] == self.at
        return torch.where(own.any(-1, keepdim=True), own.to(times.dtype), self._ties(times))

    def _markov_rate(self) -> float | None:
        """Rate per unit of path time of an exponential kernel, the only Markov one; None for others."""
        if isinstance(self.kernel, ExponentialPower) and self.kernel.alpha == 1:
            return self.horizon * self.kernel.rate
        return None

    def _factor(self, times: Tensor) -> tuple[Tensor, bool]:
        if self._kept is None or not torch.equal(self._kept[0], times):
            self._check_definite(times)
            free = ~(times[:, None] == self.at).any(
                -1
            )  # a tied time has no variance, and would make the matrix singular
            try:
                part, triangular = factor(self._covariance(times[free]))
            except NotPositiveDefiniteError as error:
                raise ValueError(
                    f"kernel: the covariance of {type(self.kernel).__name__} at these {len(times)} times is not "
                    f"positive definite ({error}); times may be too close to a tied one, or the kernel is not a "
                    f"covariance"
                ) from error
            lower = part.new_zeros(len(times), part.shape[-1])
            lower[free] = part
            self._kept = times, lower, triangular
        return self._kept[1], self._kept[2]


def _as_kernel(kernel: Kernel | Callable[[Tensor], Tensor] | None) -> Kernel:
    if kernel is None:
        return OrnsteinUhlenbeck()
    if isinstance(kernel, Kernel):
        return kernel
    if callable(kernel):
        return _Custom(kernel)
    raise ValueError(f"kernel: expected a Kernel or a function of the lag, got {type(kernel).__name__}")


class GaussianProcessBridge(GaussianProcessPaths):
    r"""The process between two points.

    With k the kernel, :math:`k_t = k(tT)`, mean and covariance at times t and s are

    .. math:: \frac{z_0 (k_t - k_{1-t} k_1) + z_1 (k_{1-t} - k_t k_1)}{1 - k_1^2}, \qquad
        k_{t-s} - \frac{k_s k_t + k_{1-s} k_{1-t} - k_1 (k_s k_{1-t} + k_{1-s} k_t)}{1 - k_1^2}.

    Args:
        start: Points :math:`z_0` `(*batch, *event)` at t = 0.
        end: Points :math:`z_1` at t = 1; equal end points are legal.
        kernel: See `GaussianProcessPaths`; Ornstein-Uhlenbeck with rate 1 by default.
        horizon: Length T of the time axis: T -> 0 gives the straight line, a large T forgets the ends.
        event_dim: Number of dimensions of one point.

    Reference: Interpolation in auto encoders with bridge processes (poster, KTH).
    """

    def __init__(
        self,
        start: Any,
        end: Any,
        *,
        kernel: Kernel | Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        first, last = pair_of_points(start, end, event_dim)
        points = torch.stack([first, last], first.ndim - event_dim)
        super().__init__(points, kernel=kernel, horizon=horizon, event_dim=event_dim)


class GaussianProcessWalk(GaussianProcessPaths):
    """The stationary process itself, or the process from one point.

    Args:
        start: Points `(*batch, *event)` at t = 0; None for none.
        event_shape: Shape of one point, if there is no start.
        batch_shape: Shape of the batch of independent walks, if there is no start.
        dtype: Type of the samples, if there is no start; None for torch's default.
        device: Device of the samples, if there is no start.
        kernel: See `GaussianProcessPaths`.
        horizon: Length T of the time axis.
        event_dim: Number of dimensions of one point, if there is a start.
    """

    def __init__(
        self,
        start: Any = None,
        *,
        event_shape: Sequence[int] | None = None,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        kernel: Kernel | Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        if (start is None) == (event_shape is None):
            raise ValueError("start: expected either start or event_shape, got both or neither")
        if event_shape is not None:
            points = torch.empty(*batch_shape, 0, *event_shape, dtype=dtype, device=device)
            event_dim = len(event_shape)
        else:
            check_event_dim(event_dim)
            points = as_points("start", start, event_dim)
            points = points.unsqueeze(points.ndim - event_dim)
        super().__init__(points, kernel=kernel, horizon=horizon, event_dim=event_dim)
