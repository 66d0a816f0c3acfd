"""Maximum likelihood in the Fisher-Bingham family: Newton's method on the concave likelihood of the moments.

In an exponential family the likelihood has its maximum where the law's moments are those of the points, or none, where
no law of the family has them. Steps are halved until the likelihood rises; the Hessian is exact.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ...special import fisher_bingham_log_partition, fisher_bingham_moments

__all__ = ["fit_bingham", "fit_fisher_bingham", "newton"]

_MOST_STEPS = 200
_HALVINGS = 40
_QUADRATIC = (
    1e-6  # below this rise, whole steps converge quadratically, and the likelihood itself is too coarse a guide
)
_LARGEST = 1e12  # of a parameter: beyond it, the likelihood has no maximum that doubles can tell


def newton(
    start: Tensor,
    target: Tensor,
    log_partition: Callable[[Tensor], Tensor],
    moments: Callable[[Tensor], Tensor],
    hessian: Callable[[Tensor], Tensor],
) -> Tensor:
    """The parameters `(p,)` whose moments are `target` `(p,)`: the maximum of theta.target - log partition.

    Raises:
        ValueError: There is none: the parameters grow without bound.
    """
    theta = start
    value = theta @ target - log_partition(theta)
    last = float("inf")
    for _ in range(_MOST_STEPS):
        gradient = target - moments(theta)
        step = _solve(hessian(theta), gradient)
        rise = float(gradient @ step)  # twice what the likelihood is below its maximum
        if rise < _QUADRATIC:
            if not rise < last:  # nothing but rounding is left
                return theta
            theta, last = theta + step, rise
            continue
        scale = 1.0
        for _ in range(_HALVINGS):
            new = theta + scale * step
            new_value = new @ target - log_partition(new)
            if bool(new_value >= value + 0.1 * scale * rise):
                break
            scale *= 0.5
        theta, value = new, new_value
        if not bool(theta.abs().amax() < _LARGEST):
            break
    raise ValueError(
        "points: expected points in general position, got points on which the likelihood grows without bound; use a "
        "smaller family, or add points"
    )


def _solve(matrix: Tensor, rhs: Tensor) -> Tensor:
    """The solution with a symmetric positive matrix, scaled to a unit diagonal first."""
    scale = matrix.diagonal().clamp(min=torch.finfo(matrix.dtype).tiny).rsqrt()
    scaled = scale[:, None] * matrix * scale
    factor, info = torch.linalg.cholesky_ex(scaled)
    if int(info) == 0:
        return scale * torch.cholesky_solve((scale * rhs)[:, None], factor)[:, 0]
    return scale * (torch.linalg.pinv(scaled, hermitian=True, rtol=1e-14) @ (scale * rhs))


def fit_fisher_bingham(mean: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """linear `(*batch, n)` and quadratic `(*batch, n, n)` of trace 0 with these moments, float64."""
    n = mean.shape[-1]
    basis = _trace_free(n, mean)
    batch = mean.shape[:-1]
    fitted = [_fit_one(m, s, basis) for m, s in zip(mean.reshape(-1, n), second.reshape(-1, n, n))]
    if not fitted:
        return mean, second
    theta = torch.stack(fitted)
    quadratic = (theta[:, n:] @ basis.flatten(1)).reshape(*batch, n, n)
    return theta[:, :n].reshape(*batch, n), quadratic


def _trace_free(n: int, like: Tensor) -> Tensor:
    """An orthonormal basis `(p, n, n)` of the symmetric matrices of trace 0."""
    rows, columns = torch.triu_indices(n, n, 1, device=like.device)
    off = like.new_zeros(len(rows), n, n)
    index = torch.arange(len(rows), device=like.device)
    off[index, rows, columns] = off[index, columns, rows] = 0.5**0.5
    # Helmert's contrasts
    k = torch.arange(1, n, dtype=like.dtype, device=like.device)[:, None]
    place = torch.arange(n, device=like.device)
    contrast = torch.where(place < k, 1.0, torch.where(place == k, -k, 0.0)) / (k * (k + 1)).sqrt()
    return torch.cat([off, torch.diag_embed(contrast)])


def _fit_one(mean: Tensor, second: Tensor, basis: Tensor) -> Tensor:
    n = len(mean)
    flat = basis.flatten(1)

    def parts(theta: Tensor) -> tuple[Tensor, Tensor]:
        return theta[:n], (theta[n:] @ flat).reshape(n, n)

    def moments(theta: Tensor) -> Tensor:
        m, s = fisher_bingham_moments(*parts(theta))
        return torch.cat([m, flat @ s.flatten()])

    def hessian(theta: Tensor) -> Tensor:
        with torch.enable_grad():
            theta = theta.detach().requires_grad_()
            rows = moments(theta)
            eye = torch.eye(len(rows), dtype=theta.dtype, device=theta.device)
            (matrix,) = torch.autograd.grad(rows, theta, eye, is_grads_batched=True)
        return 0.5 * (matrix + matrix.T)

    target = torch.cat([mean, flat @ second.flatten()])
    return newton(
        torch.zeros_like(target), target, lambda t: fisher_bingham_log_partition(*parts(t)), moments, hessian
    ).detach()


def fit_bingham(second: Tensor) -> Tensor:
    """quadratic `(*batch, n, n)` with the largest eigenvalue 0 and this second moment `(*batch, n, n)`, float64."""
    n = second.shape[-1]
    tau, vectors = torch.linalg.eigh(second)
    fitted = []
    for target in tau.reshape(-1, n):
        if not bool(target[0] > 8 * n * torch.finfo(target.dtype).eps):
            raise ValueError(
                "points: expected points that span R^n, got points on a great sphere, where the likelihood of a "
                "Bingham law has no maximum; add points, or fit in fewer dimensions"
            )
        fitted.append(_fit_eigenvalues(target))
    if not fitted:
        return second
    values = torch.stack(fitted).reshape(tau.shape)
    values = values - values.amax(-1, keepdim=True)
    return (vectors * values.unsqueeze(-2)) @ vectors.mT


def _fit_eigenvalues(target: Tensor) -> Tensor:
    """The eigenvalues, the last one 0, of a Bingham law with these mean squares of the coordinates."""
    n = len(target)
    zero = torch.zeros_like(target)

    def full(theta: Tensor) -> Tensor:
        return torch.cat([theta, theta.new_zeros(1)])

    def moments(theta: Tensor) -> Tensor:
        return fisher_bingham_moments(zero, torch.diag(full(theta)))[1].diagonal()[:-1]

    def hessian(theta: Tensor) -> Tensor:
        with torch.enable_grad():
            theta = theta.detach().requires_grad_()
            rows = moments(theta)
            eye = torch.eye(n - 1, dtype=theta.dtype, device=theta.device)
            (matrix,) = torch.autograd.grad(rows, theta, eye, is_grads_batched=True)
        return 0.5 * (matrix + matrix.T)

    # Gaussian coordinates of these variances have the density exp(-x^2 / 2 tau).
    start = 0.5 / target[-1] - 0.5 / target[:-1]
    return full(
        newton(
            start,
            target[:-1],
            lambda theta: fisher_bingham_log_partition(zero, torch.diag(full(theta))),
            moments,
            hessian,
        )
    ).detach()
