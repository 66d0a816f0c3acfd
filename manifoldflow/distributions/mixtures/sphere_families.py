"""Mixtures on spheres: von Mises-Fisher, Watson and angular central Gaussian components."""

from typing import Any

import torch
from pyro.distributions.constraints import sphere
from torch import Tensor

from ...special import log_sphere_area, vmf_concentration, vmf_log_peak, vmf_mean_length
from ..spherical.angular_central_gaussian import AngularCentralGaussian
from ..spherical.axial import Watson
from ..spherical.von_mises_fisher import VonMisesFisher
from .families import Family, products, register_family, scatters, unit

__all__ = ["AngularCentralGaussianFamily", "VonMisesFisherFamily", "WatsonFamily"]

_FEW = 32  # coordinates up to which the sums are float64 in any case


class SphereFamily(Family):
    """Points on the sphere; angles between them."""

    def check(self, points: Tensor) -> None:
        if points.shape[-1] < 2 or not bool(sphere.check(points).all()):
            raise ValueError("points: expected unit vectors (m, n), n >= 2, got others; normalise them first")

    def squared_distances(self, points: Tensor, centres: Tensor) -> Tensor:
        return (points @ centres.mT).clamp_(-1, 1).acos_().square_()


class AxialFamily(SphereFamily):
    """Axes: opposite points are the same."""

    def squared_distances(self, points: Tensor, centres: Tensor) -> Tensor:
        return (points @ centres.mT).abs_().clamp_(max=1).acos_().square_()

    def features(self, block: Tensor) -> Tensor:
        return unit(block)


@register_family(VonMisesFisher)
class VonMisesFisherFamily(SphereFamily):
    """The mean direction is that of the weighted sum of points, and A(kappa) its mean length, solved exactly."""

    can_tie = True
    fields = ("loc", "concentration")
    _known: tuple[Any, Tensor, Tensor] | None = None

    def work_dtype(self, law: Any, points: Tensor) -> torch.dtype:
        n = points.shape[-1]
        if points.dtype == torch.float64 or n <= _FEW or law is None:
            return torch.float64
        # kappa (mu.x - 1) and 1 - R, about n / 2 kappa, lose kappa / n digits
        return torch.float32 if float(law.concentration.max()) <= 10 * n else torch.float64

    def features(self, block: Tensor) -> Tensor:
        return unit(block) if block.dtype == torch.float64 else block

    def log_density(self, law: Any, features: Tensor) -> Tensor:
        weights, offsets = self._terms(law, features)
        return torch.addmm(offsets, features, weights).unflatten(-1, law.concentration.shape)

    def _terms(self, law: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        """kappa mu `(n, s k)` and peak - kappa `(s k,)`: the logs are peak - kappa |x - mu|^2 / 2 for unit vectors.

        All blocks of a pass share those of one law.
        """
        if self._known is None or self._known[0] is not law or self._known[1].dtype != features.dtype:
            kappa, n = law.concentration.double(), features.shape[-1]
            offsets = vmf_log_peak(kappa, n) - log_sphere_area(n) - kappa
            weights = (kappa[..., None] * law.loc.double()).flatten(0, 1).to(features.dtype).mT
            self._known = law, weights, offsets.flatten().to(features.dtype)
        return self._known[1:]

    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        return products(features, shares)

    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        n = statistic.shape[-1]
        norm = torch.linalg.vector_norm(statistic, dim=-1)
        loc = statistic / norm.clamp(min=torch.finfo(norm.dtype).tiny)[..., None]
        loc = torch.where(norm[..., None] > 0, loc, torch.eye(n, dtype=loc.dtype, device=loc.device)[0])
        length = norm / mass.clamp(min=torch.finfo(mass.dtype).tiny)
        if self.tied:
            length = (norm.sum(-1, keepdim=True) / mass.sum(-1, keepdim=True)).expand_as(norm)
        highest = vmf_mean_length(torch.tensor(self.most, dtype=length.dtype, device=length.device), n)
        kappa = vmf_concentration(length.clamp(max=float(highest)), n)
        kappa = torch.where(length >= highest, self.most, kappa)
        return VonMisesFisher(loc, kappa, validate_args=False)

    def at_bound(self, law: Any) -> Tensor:
        return law.concentration >= self.most

    def parameters(self, components: int, n: int) -> int:
        return components * (n - 1) + (1 if self.tied else components)


@register_family(Watson)
class WatsonFamily(AxialFamily):
    """The axis is the first or the last eigenvector of the weighted second moment, whichever is more probable."""

    can_tie = True
    fields = ("loc", "concentration")

    def log_density(self, law: Any, features: Tensor) -> Tensor:
        kappa = law.concentration.double()
        cosine = (features @ law.loc.flatten(0, 1).to(features).mT).unflatten(-1, kappa.shape)
        return kappa * cosine.square_() + law.log_normalizer.double()

    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        return scatters(features, shares)

    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        second = statistic / mass.clamp(min=torch.finfo(mass.dtype).tiny)[..., None, None]
        pooled = mass / mass.sum(-1, keepdim=True) if self.tied else None
        axis, kappa = Watson.maximum(second, pooled=pooled, most=min(self.most, 1e4))
        return Watson(axis, kappa, validate_args=False)

    def at_bound(self, law: Any) -> Tensor:
        return law.concentration.abs() >= min(self.most, 1e4)

    def parameters(self, components: int, n: int) -> int:
        return components * (n - 1) + (1 if self.tied else components)


@register_family(AngularCentralGaussian)
class AngularCentralGaussianFamily(AxialFamily):
    """One step of Tyler's fixed point in each iteration, which does not lower the likelihood.

    The bound is on the ratio of the largest to the smallest eigenvalue of the covariance.
    """

    fields = ("covariance",)

    def log_density(self, law: Any, features: Tensor) -> Tensor:
        n = features.shape[-1]
        return law.log_normalizer.double() - 0.5 * n * self._forms(law, features).log()

    @staticmethod
    def _forms(law: Any, features: Tensor) -> Tensor:
        """x' covariance^-1 x, shape `(b, s, k)`."""
        solved = torch.linalg.solve_triangular(law.scale_tril, features.mT, upper=False)
        return solved.square().sum(-2).movedim(-1, 0)

    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        return scatters(features, shares if law is None else shares / self._forms(law, features))

    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        values, vectors = torch.linalg.eigh(statistic)
        values = values / values[..., -1:].clamp(min=torch.finfo(values.dtype).tiny)
        values = values.clamp(min=1 / self.most)
        values = values * (values.shape[-1] / values.sum(-1, keepdim=True))
        covariance = (vectors * values[..., None, :]) @ vectors.mT
        return AngularCentralGaussian(0.5 * (covariance + covariance.mT), validate_args=False)

    def at_bound(self, law: Any) -> Tensor:
        values = torch.linalg.eigvalsh(law.covariance.double())
        return values[..., -1] > 0.999 * self.most * values[..., 0]

    def parameters(self, components: int, n: int) -> int:
        return components * (n * (n + 1) // 2 - 1)
