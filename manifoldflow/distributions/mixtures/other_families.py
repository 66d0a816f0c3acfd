"""Mixtures of Dirichlet laws, and of wrapped normals on spheres, tori, simplices and products."""

import math
from typing import Any

import torch
from torch import Tensor

from ..dirichlet import Dirichlet
from ..wrapped_normal import WrappedNormal
from .families import Family, products, register_family

__all__ = ["DirichletFamily", "WrappedNormalFamily"]

_MOST_STEPS = 60


@register_family(Dirichlet)
class DirichletFamily(Family):
    """The statistics are the mean logs of the coordinates; Newton's method finds the concentration.

    The bound is on the sum of the concentration.
    """

    fields = ("concentration",)

    def check(self, points: Tensor) -> None:
        total = points.double().sum(-1)
        if points.shape[-1] < 2 or not bool((points >= 0).all()) or not bool(((total - 1).abs() < 1e-4).all()):
            raise ValueError("points: expected shares (m, D) that sum to one, D >= 2, got others; divide by their sum")
        if not bool((points > 0).all()):
            raise ValueError("points: expected positive shares, got zeros, whose logs are infinite; replace them")

    def features(self, block: Tensor) -> Tensor:
        return block.log()

    def squared_distances(self, points: Tensor, centres: Tensor) -> Tensor:
        return (points.sqrt() @ centres.sqrt().mT).clamp_(max=1).acos_().square_()  # Fisher-Rao

    def log_density(self, law: Any, features: Tensor) -> Tensor:
        a = law.concentration.double()
        logs = features @ (a - 1).flatten(0, 1).mT
        return logs.unflatten(-1, a.shape[:-1]) + law.log_normalizer.double()

    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        return products(features, shares)

    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        mean_logs = statistic / mass.clamp(min=torch.finfo(mass.dtype).tiny)[..., None]
        start = None if law is None else law.concentration.double()
        return Dirichlet(_dirichlet_maximum(mean_logs, start, self.most), validate_args=False)

    def at_bound(self, law: Any) -> Tensor:
        return law.concentration.sum(-1) > 0.999 * self.most

    def parameters(self, components: int, n: int) -> int:
        return components * n


def _dirichlet_maximum(mean_logs: Tensor, start: Tensor | None, most: float) -> Tensor:
    """The concentration `(*batch, D)` of the largest likelihood for mean logs `(*batch, D)`.

    Newton's method in log a, kept from overshooting: T. Minka, Estimating a Dirichlet distribution, 2000, and its
    Hessian of diagonal plus constant.
    """
    if start is None:
        # Shares p with log p the mean logs, and a total by Stirling's formula: sum p (log p - mean log) is d / 2 total.
        share = mean_logs.exp()
        missing = -share.sum(-1, keepdim=True).log()  # how far below one the geometric means add up
        d = mean_logs.shape[-1] - 1
        start = mean_logs.softmax(-1) * (0.5 * d / missing.clamp(min=0.5 * d / most))
    a = start
    for _ in range(_MOST_STEPS):
        total = a.sum(-1, keepdim=True)
        gradient = torch.digamma(total) - torch.digamma(a) + mean_logs
        inverse = -1 / torch.polygamma(1, a)
        trigamma = torch.polygamma(1, total)
        shift = (gradient * inverse).sum(-1, keepdim=True) / (1 / trigamma + inverse.sum(-1, keepdim=True))
        step = -(gradient - shift) * inverse
        log_step = (step / a).clamp(-2.0, 2.0)
        # A step below -a would leave the positive numbers: take it in the logs.
        new = torch.where(step > -0.5 * a, torch.minimum(a + step, a * math.e**2), a * log_step.exp())
        over = new.sum(-1, keepdim=True) / most
        new = torch.where(over > 1, new / over, new)
        done = bool(((new - a).abs() <= 1e-12 * a).all())
        a = new
        if done:
            break
    return a


@register_family(WrappedNormal)
class WrappedNormalFamily(Family):
    r"""Locations by one step along the mean tangent vector in each iteration, scales by the mean squared distance.

    This is the largest likelihood on R^n and on simplices; elsewhere it is so where the scale is small beside the
    space, as it takes the shortest way to each point for the one it came by. The bound is on :math:`1 / \sigma^2`.
    """

    in_blocks = False
    fields = ("loc", "scale")

    def build(self, *parameters: Tensor) -> Any:
        return WrappedNormal(self.space, *parameters, validate_args=False)

    def check(self, points: Tensor) -> None:
        WrappedNormal(self.space, points[:1].double(), 1.0, validate_args=False)  # knows the space, or says why not

    def squared_distances(self, points: Tensor, centres: Tensor) -> Tensor:
        return self.space.metric.squared_dist(points[:, None, :], centres)

    def log_density(self, law: Any, features: Tensor) -> Tensor:
        return law.log_prob(features[:, None, None, :])

    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        """Sums of tangent vectors at the present locations, and of their squares, `(s, k, 2 n + 1)`."""
        if law is None:
            # The first location: the point that is nearest to the mean in the ambient space.
            mean = products(features, shares) / shares.sum(0).clamp(min=1e-300)[..., None]
            far = self.space.metric.squared_dist(features[:, None, None, :], self.space.projection(mean))
            nearest = torch.where(shares > 0, far, math.inf).argmin(0)
            loc = features[nearest]
        else:
            loc = law.loc.double()
        tangent = self.space.metric.log(features[:, None, None, :], loc)
        square = self.space.metric.squared_norm(tangent, loc)
        sums = torch.einsum("bsk,bskn->skn", shares, tangent)
        return torch.cat([sums, (shares * square).sum(0)[..., None], loc * shares.sum(0)[..., None]], dim=-1)

    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        n = self.space.shape[0]
        mean = statistic / mass.clamp(min=torch.finfo(mass.dtype).tiny)[..., None]
        step, square, loc = mean[..., :n], mean[..., n], mean[..., n + 1 :]
        moved = self.space.metric.exp(step, self.space.projection(loc))
        variance = (square - self.space.metric.squared_norm(step, loc)) / self.space.dim
        return WrappedNormal(self.space, moved, variance.clamp(min=1 / self.most).sqrt(), validate_args=False)

    def at_bound(self, law: Any) -> Tensor:
        return law.scale.square() * self.most < 1.001

    def parameters(self, components: int, n: int) -> int:
        return components * (self.space.dim + 1)
