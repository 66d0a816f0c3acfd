r"""Conformal factors: what a step at a point costs, as a multiple of its decoded length.

A factor has two parts, because the discretisations differ in what they average: a `value` of points (an
index, a log-density, an energy) and a `cost` of values. The metric is :math:`A_z = cost(value(z))^2 \, dG^T
dG`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Conformal", "energy_based", "inverse_density", "radial_basis", "realism_cost"]


@dataclass(frozen=True)
class Conformal:
    """A conformal factor cost(value(z)).

    Attributes:
        value: Points `(rows, n)` to values `(rows,)`.
        cost: Values of any shape to nonnegative costs of the same shape.
        check: Raises ValueError if values of the end points are not what they should be; None: anything goes.
        smoothed: The same factor with its kinks rounded over a width of the values, for solvers to start with; None
            for a factor without kinks.
    """

    value: Callable[[Tensor], Tensor]
    cost: Callable[[Tensor], Tensor] = torch.abs
    check: Callable[[Tensor], None] | None = None
    smoothed: "Callable[[float], Conformal] | None" = None

    def __repr__(self) -> str:
        return f"Conformal({getattr(self.value, '__name__', type(self.value).__name__)})"


def _in_unit_interval(values: Tensor) -> None:
    known = values[values.isfinite()]
    if bool(((known < 0) | (known > 1)).any()):
        wrong = known[(known < 0) | (known > 1)][0].item()
        raise ValueError(
            f"index: expected values in [0, 1], got {wrong:g}; pass a log-density through an index "
            "(manifoldflow.realism.DensityIndex) first"
        )


def realism_cost(index: Callable[[Tensor], Tensor]) -> Conformal:
    r""":math:`|\log ri(z)|`: the metric of realism (arXiv 1904.03445); `exp(-length)` is the realism of a
    curve.

    Args:
        index: Points `(rows, n)` to values in [0, 1], shape `(rows,)`; usually `index.regularised(eps)`. If it has
            kinks, its `smoothed(width)` rounds them (`manifoldflow.realism.Index.smoothed`).
    """
    rounded = getattr(index, "smoothed", None)
    smoothed = None
    if rounded is not None and rounded(1.0) is not index:

        def smoothed(width: float) -> Conformal:
            return realism_cost(rounded(width))

    return Conformal(index, lambda values: -torch.log(values), _in_unit_interval, smoothed)


def inverse_density(log_density: Callable[[Tensor], Tensor], *, beta: float = 1.0, reference: float = 0.0) -> Conformal:
    r""":math:`(p(z) / p_0)^{-\beta}`, the metric :math:`p^{-2\beta}` in log form.

    Args:
        log_density: Points `(rows, n)` to log-densities `(rows,)`.
        beta: The exponent, nonnegative; 0 is the pure pullback.
        reference: :math:`\log p_0`, such as a typical log-density; only a common scale, but it avoids
            overflow.
    """
    if not beta >= 0:
        raise ValueError(f"beta: expected a nonnegative number, got {beta}")
    return Conformal(log_density, lambda values: torch.exp(-beta * (values - reference)))


def energy_based(energy: Callable[[Tensor], Tensor], *, alpha: float = 1.0, offset: float = 0.0) -> Conformal:
    r""":math:`\sqrt{\alpha E(z) + c}`: the metric :math:`(\alpha E(z) + c) I` of an energy-based model.

    Args:
        energy: Points `(rows, n)` to energies `(rows,)`, :math:`p \propto e^{-E}`.
        alpha: Positive weight of the energy.
        offset: The constant c that makes the metric positive wherever the path may go.
    """
    if not alpha > 0:
        raise ValueError(f"alpha: expected a positive number, got {alpha}")

    def check(values: Tensor) -> None:
        lowest = alpha * values.min().item() + offset
        if lowest <= 0:
            raise ValueError(
                f"offset: expected alpha * energy + offset > 0, got {lowest:g} at an end point; "
                f"raise offset by more than {-lowest:g}"
            )

    return Conformal(energy, lambda values: (alpha * values + offset).sqrt(), check)


def radial_basis(
    data: Tensor, *, centres: int = 64, width: float = 1.0, floor: float = 1e-3, seed: int = 0
) -> Conformal:
    r""":math:`(h(z) + \epsilon)^{-1/2}` with :math:`h(z) = \sum_k w_k e^{-\lambda_k |z - c_k|^2 / 2}` near 1
    on data.

    The centres are k-means centres, :math:`\lambda_k` the inverse squared width of each cluster and the
    weights the nonnegative least-squares fit of h = 1 on the data.

    Args:
        data: A sample `(m, n)` that the path should stay near.
        centres: How many radial functions, at most m.
        width: Multiple of the root-mean-square radius of each cluster.
        floor: :math:`\epsilon`; 1 / floor bounds the metric far from the data.
        seed: Of k-means.

    Reference: Arvanitidis, Hauberg, Schoelkopf, Geometrically enriched latent spaces, AISTATS 2021.
    """
    from scipy.optimize import nnls
    from sklearn.cluster import KMeans

    if data.ndim != 2 or len(data) < max(2, centres):
        raise ValueError(f"data: expected at least {max(2, centres)} points (m, n), got shape {tuple(data.shape)}")
    points = data.detach().double().cpu()
    fit = KMeans(centres, n_init=1, random_state=seed).fit(points.numpy())
    middle, label = torch.from_numpy(fit.cluster_centers_).double(), torch.from_numpy(fit.labels_).long()
    squared = (points - middle[label]).square().sum(-1)
    count = torch.bincount(label, minlength=centres).clamp(min=1)
    spread = torch.zeros(centres, dtype=torch.float64).index_add_(0, label, squared) / count
    spread = torch.where(spread > 0, spread, spread.mean().clamp(min=1e-12))
    precision = 1 / (width**2 * spread)
    design = torch.exp(-0.5 * precision * torch.cdist(points, middle).square())
    weights = torch.from_numpy(nnls(design.numpy(), torch.ones(len(points)).numpy())[0])
    middle, precision, weights = (v.to(data) for v in (middle, precision, weights))

    def presence(z: Tensor) -> Tensor:
        # Squared distances by a product: cdist has no second derivative.
        gap = z.square().sum(-1, keepdim=True) - 2 * z @ middle.T + middle.square().sum(-1)
        return torch.exp(-0.5 * precision * gap.clamp(min=0)) @ weights

    return Conformal(presence, lambda values: (values + floor).rsqrt())
