r"""Indices of what a point decodes to: a Gaussian density of features, or a classifier's opinion."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .density import DensityIndex
from .index import Index

__all__ = ["ClassifierIndex", "FeatureDensity", "feature_index"]


class FeatureDensity(nn.Module):
    r"""The log-density of decoded features under a Gaussian: :math:`\log N(\Phi(G(z)); \mu_T, \Sigma_T)`.

    The moments are those of the features of real data, as in the Frechet (FID) distance. The density is with respect to
    Lebesgue measure on feature space.

    Args:
        features: Features of real data `(m, f)`, m at least 2.
        decoder: G, points `(rows, n)` to data; None for the identity.
        extractor: Phi, any torch module or function from data to features `(rows, f)`; None flattens the data.
        shrinkage: Of the covariance towards a multiple of the identity: "ledoit-wolf" or "oas" (both from the data), or
            a number in [0, 1]. Needed wherever m is not much larger than f.

    Raises:
        ValueError: Too few features, or not finite ones; a shrinkage outside [0, 1]; a covariance that stays singular.

    Reference: Struski et al., TNNLS 2023 (arXiv 1904.03445).
    """

    mean: Tensor
    whitening: Tensor
    log_scale: Tensor

    def __init__(
        self,
        features: Tensor,
        decoder: Callable[[Tensor], Tensor] | None = None,
        extractor: Callable[[Tensor], Tensor] | None = None,
        *,
        shrinkage: float | Literal["ledoit-wolf", "oas"] = "ledoit-wolf",
    ) -> None:
        super().__init__()
        if features.ndim != 2 or len(features) < 2 or not bool(features.isfinite().all()):
            raise ValueError(
                f"features: expected at least 2 finite rows (m, f), got shape {tuple(features.shape)}; "
                "collect features of more data"
            )
        mean, covariance = _moments(features.detach().double().cpu(), shrinkage)
        factor, info = torch.linalg.cholesky_ex(covariance)
        if bool(info > 0):
            raise ValueError(
                f"shrinkage: the covariance of {len(features)} x {features.shape[1]} features is singular with "
                f"{shrinkage!r}; use 'ledoit-wolf' or a number nearer 1"
            )
        eye = torch.eye(len(mean), dtype=torch.float64)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        log_scale = -factor.diagonal().log().sum() - 0.5 * len(mean) * math.log(2 * math.pi)
        for name, buffer in (("mean", mean), ("whitening", inverse), ("log_scale", log_scale)):
            self.register_buffer(name, buffer.to(features))
        self.decoder, self.extractor = decoder, extractor

    def of_features(self, features: Tensor) -> Tensor:
        """Log-density `(rows,)` of features `(rows, f)`."""
        white = (features - self.mean.to(features)) @ self.whitening.to(features).T
        return self.log_scale.to(features) - 0.5 * white.square().sum(-1)

    def forward(self, z: Tensor) -> Tensor:
        """Log-density `(*batch,)` of the features that points `(*batch, n)` decode to."""
        rows = z.reshape(-1, z.shape[-1])
        data = rows if self.decoder is None else self.decoder(rows)
        features = data.flatten(1) if self.extractor is None else self.extractor(data).flatten(1)
        return self.of_features(features).reshape(z.shape[:-1])


def _moments(features: Tensor, shrinkage: float | str) -> tuple[Tensor, Tensor]:
    from sklearn.covariance import OAS, LedoitWolf, shrunk_covariance

    estimators = {"ledoit-wolf": LedoitWolf, "oas": OAS}
    mean = features.mean(0)
    if isinstance(shrinkage, str):
        if shrinkage not in estimators:
            raise ValueError(f"shrinkage: expected 'ledoit-wolf', 'oas' or a number in [0, 1], got {shrinkage!r}")
        return mean, torch.from_numpy(estimators[shrinkage]().fit(features.numpy()).covariance_)
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage: expected a number in [0, 1], got {shrinkage}")
    covariance = torch.cov(features.T).reshape(len(mean), len(mean))
    return mean, torch.from_numpy(shrunk_covariance(covariance.numpy(), shrinkage))


def feature_index(density: FeatureDensity, samples: Tensor, *, chunk: int = 1024, **options: Any) -> DensityIndex:
    """The realism of decoded features, ranked among those of the model's own samples.

    Args:
        density: The density of features; it holds the decoder and the extractor.
        samples: Draws of the prior `(m, n)`, at least 2 and better thousands.
        chunk: How many are decoded at a time.
        options: Passed to `DensityIndex`.
    """
    with torch.no_grad():
        scores = torch.cat([density(part) for part in samples.split(chunk)])
    return DensityIndex(density, scores, **options)


class ClassifierIndex(Index):
    """A classifier's opinion of what a point decodes to, as an index of quality.

    Args:
        classifier: Data to logits: `(rows,)` or `(rows, 1)` of being real, or `(rows, classes)`.
        decoder: Points `(rows, n)` to data; None for the identity.
        label: Which class counts; None: the most probable one (confidence).
    """

    def __init__(
        self,
        classifier: Callable[[Tensor], Tensor],
        decoder: Callable[[Tensor], Tensor] | None = None,
        *,
        label: int | None = None,
    ) -> None:
        super().__init__()
        self.classifier, self.decoder, self.label = classifier, decoder, label

    def log(self, z: Tensor) -> Tensor:
        """The log-probability; see `Index.log`."""
        rows = z.reshape(-1, z.shape[-1])
        logits = self.classifier(rows if self.decoder is None else self.decoder(rows))
        if logits.ndim == 1 or logits.shape[1] == 1:
            chosen = nn.functional.logsigmoid(logits.reshape(len(rows)))
        else:
            by_class = logits.log_softmax(-1)
            chosen = by_class.amax(-1) if self.label is None else by_class[:, self.label]
        return chosen.reshape(z.shape[:-1])
