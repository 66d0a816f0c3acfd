"""The Kent distribution: directions around a mean, with oval contours."""

from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from ...special import fisher_bingham_log_partition, fisher_bingham_moments
from ..base import Parameter
from ..constraints import beside_loc, check_floating, finite_nonnegative
from ..laws import Law, Statistic, law_of
from .exponential_fit import newton
from .fisher_bingham import FisherBingham
from .scatter import moments_of

__all__ = ["Kent"]

_MOST_STEPS = 100
_HALVINGS = 30


class _OrthonormalColumns(Constraint):
    """3 x 3 matrices whose columns are orthonormal."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        eye = torch.eye(value.shape[-1], dtype=value.dtype, device=value.device)
        return (value.mT @ value - eye).abs().flatten(-2).amax(-1) <= 64 * torch.finfo(value.dtype).eps

    def __repr__(self) -> str:
        return "OrthonormalColumns()"


class Kent(FisherBingham):
    r"""Kent distribution (FB5) on the unit sphere of R^3, the sphere's counterpart of a Gaussian with oval contours.

    .. math:: p(s) \propto \exp(\kappa \gamma_1 \cdot s + \beta [(\gamma_2 \cdot s)^2 - (\gamma_3 \cdot s)^2])

    with respect to surface area.

    Args:
        axes: Orthonormal columns :math:`\gamma_1` (the mean direction), :math:`\gamma_2` (the major axis of the
            contours) and :math:`\gamma_3` (the minor one), shape `(*batch, 3, 3)`.
        concentration: :math:`\kappa \ge 0`, shape broadcastable to `batch`.
        ovalness: :math:`\beta \ge 0`, shape broadcastable to `batch`; where 2 beta > kappa there are two modes.
        validate_args: As in torch: whether parameters and samples are checked.

    Raises:
        ValueError: `axes` is not orthonormal, a number is negative or not finite, or the shapes do not broadcast.

    >>> law = Kent(torch.eye(3), 20.0, 5.0)
    >>> law.mean
    tensor([0.9386, 0.0000, 0.0000])

    Reference: J. T. Kent, Journal of the Royal Statistical Society B 44 (1982). The rest as `FisherBingham`.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "axes": _OrthonormalColumns(),
        "concentration": finite_nonnegative,
        "ovalness": finite_nonnegative,
    }
    axes = Parameter(event_dim=2)
    concentration = Parameter()
    ovalness = Parameter()

    def __init__(
        self,
        axes: Tensor,
        concentration: Tensor | float,
        ovalness: Tensor | float,
        *,
        validate_args: bool | None = None,
    ) -> None:
        check_floating("axes", axes)
        if axes.shape[-2:] != (3, 3):
            raise ValueError(f"axes: expected shape (*batch, 3, 3), got {tuple(axes.shape)}")
        kappa, _ = beside_loc("concentration", concentration, axes[..., 0])
        beta, _ = beside_loc("ovalness", ovalness, axes[..., 0])
        try:
            torch.broadcast_shapes(axes.shape[:-2], kappa.shape, beta.shape)
        except RuntimeError:
            raise ValueError(
                f"ovalness: expected a shape that broadcasts with {tuple(kappa.shape)}, that of concentration, "
                f"got {tuple(beta.shape)}"
            ) from None
        self.axes, self.concentration, self.ovalness = axes, kappa, beta
        super().__init__(*_natural(axes, kappa, beta), validate_args=validate_args)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None, *, method: str = "likelihood") -> Self:
        """The Kent distribution of unit vectors `(*batch, m, 3)`, one for each batch.

        Args:
            points: Points on the sphere.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.
            method: "likelihood" for maximum likelihood in all five parameters; "moments" for Kent's (1982) axes, the
                mean direction and the principal axes across it, with the likeliest concentration and ovalness there.

        Raises:
            ValueError: Points are missing or not of unit norm, a weight is negative or all are zero, the mean is 0, the
                points lie on one curve of the family, where the likelihood has no maximum, or `method` is neither.
        """
        if method not in ("likelihood", "moments"):
            raise ValueError(f"method: expected 'likelihood' or 'moments', got {method!r}")
        mean, second = moments_of(points, weights)
        if mean.shape[-1] != 3:
            raise ValueError(f"points: expected shape (*batch, m, 3), got {tuple(points.shape)}")
        fitted = [_fit_one(m, s, method == "likelihood") for m, s in zip(mean.reshape(-1, 3), second.reshape(-1, 3, 3))]
        batch = mean.shape[:-1]
        axes, numbers = (torch.stack(part).to(points.dtype) for part in zip(*fitted))
        return cls(axes.reshape(*batch, 3, 3), numbers[:, 0].reshape(batch), numbers[:, 1].reshape(batch))


@law_of.register
def _(base: Kent) -> Law:
    mean = base.axes[..., 0]
    return Law.of(base, "Kent", statistic=Statistic("cosine to the mean direction", lambda x: (x * mean).sum(-1)))


def _natural(axes: Tensor, kappa: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """linear and quadratic of the Fisher-Bingham law."""
    first, second, third = axes.unbind(-1)
    oval = second[..., :, None] * second[..., None, :] - third[..., :, None] * third[..., None, :]
    return kappa[..., None] * first, beta[..., None, None] * oval


def _fit_one(mean: Tensor, second: Tensor, likeliest: bool) -> tuple[Tensor, Tensor]:
    """Axes `(3, 3)` and (kappa, beta)."""
    length = torch.linalg.vector_norm(mean)
    if not bool(length > 1e-12):
        raise ValueError("points: expected a mean direction, got points whose mean is 0; fit a Bingham law instead")
    first = mean / length
    frame = torch.linalg.qr(torch.stack([first, *torch.eye(3).to(mean)[first.abs().argsort()[:2]]], -1)).Q
    frame = torch.cat([first[:, None], frame[:, 1:]], -1)
    across = torch.linalg.eigh((frame.T @ second @ frame)[1:, 1:])[1].flip(-1)
    axes = torch.cat([first[:, None], frame[:, 1:] @ across], -1)
    numbers = _fit_numbers(axes, mean, second, mean.new_zeros(2))
    if likeliest:
        for _ in range(_MOST_STEPS):
            axes, numbers, done = _step(axes, numbers, mean, second)
            if done:
                break
        q, r = torch.linalg.qr(axes)  # products of rotations drift off by rounding
        axes = q * r.diagonal().sign()
    if bool(numbers[1] < 0):  # the minor axis was the major one
        axes, numbers = axes[:, [0, 2, 1]], numbers * torch.tensor([1.0, -1.0]).to(numbers)
    return axes, numbers


def _fit_numbers(axes: Tensor, mean: Tensor, second: Tensor, start: Tensor) -> Tensor:
    """The likeliest (kappa, beta) for these axes: the moments of gamma_1.s and (gamma_2.s)^2 - (gamma_3.s)^2 agree."""
    inside = axes.T @ second @ axes
    target = torch.stack([axes[:, 0] @ mean, inside[1, 1] - inside[2, 2]])
    eye = torch.eye(3).to(mean)

    def moments(theta: Tensor) -> Tensor:
        m, s = fisher_bingham_moments(*_natural(eye, theta[0], theta[1]))
        return torch.stack([m[0], s[1, 1] - s[2, 2]])

    def hessian(theta: Tensor) -> Tensor:
        with torch.enable_grad():
            theta = theta.detach().requires_grad_()
            rows = moments(theta)
            return torch.stack([torch.autograd.grad(row, theta, retain_graph=True)[0] for row in rows])

    return newton(
        start, target, lambda t: fisher_bingham_log_partition(*_natural(eye, t[0], t[1])), moments, hessian
    ).detach()


def _rotation(turn: Tensor) -> Tensor:
    """The rotation matrix by |turn| radians about `turn` `(3,)`."""
    x, y, z = turn.unbind()
    zero = torch.zeros_like(x)
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3))


def _step(axes: Tensor, numbers: Tensor, mean: Tensor, second: Tensor) -> tuple[Tensor, Tensor, bool]:
    """One step of Newton's method uphill in the rotation of the axes, kappa and beta; whether that was the last."""
    eye = torch.eye(3).to(mean)

    def value(theta: Tensor) -> Tensor:
        linear, quadratic = _natural(axes @ _rotation(theta[:3]), theta[3], theta[4])
        partition = fisher_bingham_log_partition(*_natural(eye, theta[3], theta[4]))
        return linear @ mean + (quadratic * second).sum() - partition

    start = torch.cat([torch.zeros_like(mean), numbers])
    with torch.enable_grad():
        theta = start.clone().requires_grad_()
        now = value(theta)
        (gradient,) = torch.autograd.grad(now, theta, create_graph=True)
        hessian = torch.stack([torch.autograd.grad(g, theta, retain_graph=True)[0] for g in gradient])
    gradient = gradient.detach()
    scale = hessian.diagonal().abs().clamp(min=1e-300).rsqrt()
    values, vectors = torch.linalg.eigh(-scale[:, None] * hessian * scale)
    step = scale * (vectors @ ((vectors.T @ (scale * gradient)) / values.abs().clamp(min=1e-10)))
    rise = float(gradient @ step)
    if rise < 1e-12:  # whole steps converge quadratically from here
        theta = start + step
        return axes @ _rotation(theta[:3]), theta[3:], rise < 1e-24
    share = min(1.0, 0.5 / float(torch.linalg.vector_norm(step[:3]).clamp(min=1e-300)))
    for _ in range(_HALVINGS):
        theta = start + share * step
        if bool(value(theta) >= now.detach() + 0.1 * share * rise):
            return axes @ _rotation(theta[:3]), theta[3:], False
        share *= 0.5
    return axes, numbers, True
