"""Kernel densities: a narrow law about each of some points."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...checks import check_choice, check_number
from ...manifolds import Hypersphere, check_points, is_eager
from ..base import BaseDistribution
from ..composed.parts import Parts, parts_of
from ..constraints import OnSpace
from ..fitting import weighted
from .bandwidths import adaptive, leave_one_out
from .space_kernels import SpaceKernel, kernel_of, log_uniform, uniform_points

__all__ = ["KernelDensity"]

KERNELS = ("gaussian", "wrapped", "dirichlet")
Kernel = str | Callable[[Tensor, Tensor], Distribution]


class KernelDensity(BaseDistribution):
    r"""The mean of narrow laws about points, with a share of the uniform law:

    .. math:: p(s) = (1 - \epsilon) \sum_i w_i K_{h_i}(s; x_i) + \epsilon / \text{volume}.

    Args:
        points: :math:`x_i`, shape `(m, n)`, on the space.
        bandwidth: :math:`h_i > 0`, one number or one for each point: the width in radians on spheres and tori, where
            the concentration is :math:`1/h^2`; in units of the log-ratios on simplices.
        space: Where the points live; the unit sphere of R^n if not given. Angles live on a `Torus`.
        kernel: "gaussian": von Mises-Fisher on spheres, products of von Mises on tori, normal in isometric
            log-ratios on simplices, normal in R^d. "wrapped": the wrapped normal. "dirichlet": on simplices, the
            Dirichlet law with mode :math:`x_i` and concentration :math:`1 + x_i / h^2`. Or a function from points and
            widths to a batch of distributions.
        weights: :math:`w_i \ge 0`, equal if not given; they are scaled to sum to one.
        uniform_share: :math:`\epsilon` in [0, 1).

    The density is relative to the space's reference measure (surface area; Lebesgue measure on the first d coordinates
    of a simplex), float64 inside. In up to 8 dimensions, terms that together are less than 1e-8 of a sum are left out;
    the rest is added up in blocks, so memory does not grow with points times points. `log_prob` is differentiable any
    number of times, in the points too if they require gradients.

    >>> import torch
    >>> from manifoldflow.distributions import KernelDensity, VonMisesFisher
    >>> places = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 50.0).sample((500,))
    >>> KernelDensity.fit(places).log_prob(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])) > 0
    tensor([ True, False])

    Raises:
        OffManifoldError: A point is off the space.
        ValueError: No points, a bandwidth or weight of the wrong sign or shape, a kernel that the space does not have.

    Reference: P. Hall, G. Watson and J. Cabrera, Biometrika 74, 1987 (spheres); M. Di Marzio, A. Panzera and C. Taylor,
    J. Statistical Planning and Inference 141, 2011 (tori); J. Chacon et al., arXiv 1003.4345 (simplices).
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = False

    def __init__(
        self,
        points: Tensor,
        bandwidth: Tensor | float,
        *,
        space: Manifold | None = None,
        kernel: Kernel = "gaussian",
        weights: Tensor | None = None,
        uniform_share: float = 0.0,
        validate_args: bool | None = None,
    ) -> None:
        self.space, self._kernel = _door(points, space, kernel)
        self.kernel = kernel
        self.points = points
        self._log_weights = weighted(points, weights, least=1)[1].log()
        self.bandwidth = _widths(bandwidth, points)
        self.uniform_share = check_number("uniform_share", uniform_share, 0, 1 - 1e-9)
        self._log_uniform = log_uniform(self.space) if self.uniform_share > 0 else 0.0
        super().__init__(Size(), points.shape[-1:], validate_args=validate_args)

    @classmethod
    def fit(
        cls,
        points: Tensor,
        weights: Tensor | None = None,
        *,
        space: Manifold | None = None,
        kernel: Kernel = "gaussian",
        method: str = "leave-one-out",
        held_out: Tensor | None = None,
        least: float = 1e-4,
        neighbours: Sequence[int] = (1, 2, 3, 5, 8, 12, 20),
        scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
        shares: Sequence[float] = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1),
    ) -> Self:
        r"""The kernel density of points whose bandwidth is chosen by likelihood.

        Args:
            points: As above.
            weights: As above.
            space: As above.
            kernel: As above.
            method: "leave-one-out": one bandwidth, the largest mean log density of points under the others.
                "adaptive": :math:`1 / h_i^2 = c / d_k(x_i)^2`, d_k the distance in the kernel's coordinates (the chord
                on spheres) to the k-th neighbour; k, c and the uniform share are those of the largest likelihood of
                `held_out`, or of a random tenth of the points, which then join the density.
            held_out: Points to choose by, which do not enter the density.
            least: The smallest bandwidth: where points are copies of each other, the likelihood has no maximum. 1e-4
                in radians is 0.6 km on the Earth.
            neighbours: The k to choose from.
            scales: The c to choose from.
            shares: The uniform shares to choose from; only 0 on spaces without a uniform law.

        Raises:
            ValueError: As above, or fewer points than a choice needs.
        """
        space, law = _door(points, space, kernel)
        check_choice("method", method, ["leave-one-out", "adaptive"])
        check_number("least", least, positive=True)
        if held_out is not None:
            check_points(space, held_out=held_out)
        x, w = weighted(points, weights, least=1)
        if len(x) < 2:
            raise ValueError(f"points: expected at least two to choose a bandwidth by, got {len(x)}")
        with torch.no_grad():
            if method == "leave-one-out":
                choice = leave_one_out(law, x, w, least=least, held_out=held_out)
            else:
                choice = adaptive(law, space, x, w, held_out, least, neighbours, scales, shares)
        return cls(
            points,
            choice.bandwidth.to(points.dtype),
            space=space,
            kernel=kernel,
            weights=weights,
            uniform_share=choice.uniform_share,
        )

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        return OnSpace(self.space)

    @property
    def manifold(self) -> Manifold:
        return self.space

    def __repr__(self) -> str:
        low, high = float(self.bandwidth.min()), float(self.bandwidth.max())
        widths = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        return f"KernelDensity({len(self.points)} points on {self.space!r}, bandwidth {widths})"

    def expand(self, batch_shape: Size, _instance: Any = None) -> "KernelDensity":
        new = self._get_checked_instance(KernelDensity, _instance)
        for name in ("space", "_kernel", "kernel", "points", "_log_weights", "bandwidth", "uniform_share"):
            setattr(new, name, getattr(self, name))
        new._log_uniform = self._log_uniform
        super(KernelDensity, new).__init__(Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at points `(*batch, n)`."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self._log_prob(value.reshape(-1, value.shape[-1])).reshape(value.shape[:-1]).expand(shape)

    def _log_prob(self, rows: Tensor, *, dense: bool = False) -> Tensor:
        sums = self._kernel.log_sums(
            rows.double(), self.points.double(), self.bandwidth.double(), self._log_weights, dense=dense
        )
        if self.uniform_share > 0:
            flat = torch.full_like(sums, self._log_uniform + math.log(self.uniform_share))
            sums = torch.logaddexp(sums + math.log1p(-self.uniform_share), flat)
        return sums.to(rows.dtype)

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws: a point by its weight, then one from the law about it."""
        shape = self._extended_shape(Size(sample_shape))[:-1]
        with torch.no_grad():
            # Inverse distribution function: multinomial takes at most 2^24 weights.
            total = self._log_weights.exp().cumsum(-1)
            u = torch.rand(shape, dtype=total.dtype, device=total.device) * total[-1]
            which = torch.searchsorted(total, u, right=True).clamp(max=len(total) - 1)
            drawn = self._kernel.sample(self.points[which], self.bandwidth[which])
            if self.uniform_share == 0:
                return drawn
            options = {"dtype": drawn.dtype, "device": drawn.device}
            flat = uniform_points(self.space, shape.numel(), **options).reshape(drawn.shape)
            chosen = torch.rand(shape, dtype=torch.float64, device=total.device) < self.uniform_share
            return torch.where(chosen[..., None], flat, drawn)


@parts_of.register
def _(law: KernelDensity) -> Parts:
    tensors = {"points": law.points, "bandwidth": law.bandwidth, "weights": law._log_weights.exp()}
    return Parts(partial(_with_tensors, law), tensors)


def _with_tensors(law: KernelDensity, points: Tensor, bandwidth: Tensor, weights: Tensor) -> KernelDensity:
    """The same of other tensors; points that were rounded to another dtype are not looked at again."""
    new = law.expand(law.batch_shape)
    new.points, new.bandwidth, new._log_weights = points, bandwidth, weights.double().log()
    return new


def _door(points: Tensor, space: Manifold | None, kernel: Kernel) -> tuple[Manifold, SpaceKernel]:
    """The space and its kernel, with the points checked."""
    if not isinstance(points, Tensor) or points.dim() != 2 or len(points) < 1 or points.shape[-1] < 1:
        got = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
        raise ValueError(f"points: expected a tensor of shape (m, n), m >= 1, n >= 1, got {got}")
    space = Hypersphere(points.shape[-1] - 1) if space is None else space
    check_points(space, points=points)
    if not callable(kernel):
        check_choice("kernel", kernel, KERNELS)
    return space, kernel_of(space, kernel)


def _widths(bandwidth: Any, points: Tensor) -> Tensor:
    widths = torch.as_tensor(bandwidth, dtype=points.dtype, device=points.device)
    if widths.shape not in ((), (1,), points.shape[:1]):
        raise ValueError(
            f"bandwidth: expected one number or {len(points)}, one for each point, got shape {tuple(widths.shape)}"
        )
    if is_eager() and not bool(((widths > 0) & widths.isfinite()).all()):
        raise ValueError("bandwidth: expected positive finite numbers")
    return widths.expand(len(points))
