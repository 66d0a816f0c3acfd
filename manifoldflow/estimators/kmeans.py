"""Spherical k-means as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..distributions import VonMisesFisher
from ..distributions.mixtures.em import Points, start_laws
from ..distributions.mixtures.families import family_of
from .rows import read, seeded, unit_rows, weights_of

__all__ = ["SphericalKMeans"]

_BLOCK = 1 << 20


class SphericalKMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Clusters of directions by k-means with cosines: centres are mean directions.

    Args:
        n_clusters: Number of clusters.
        normalize: Whether rows are scaled to unit norm; otherwise others are refused.
        n_init: Number of k-means++ starts, run side by side.
        max_iter: Most iterations.
        tol: Relative gain in the mean cosine below which it has converged.
        random_state: As in scikit-learn.
        verbose: Whether to print each iteration.

    Attributes:
        cluster_centers_: Unit vectors `(n_clusters, n_features)`.
        labels_: Of the rows that were fitted.
        inertia_: Sum of 1 - cosine to the centre.
        n_iter_: Of the chosen start.

    >>> X = np.random.default_rng(0).normal(size=(200, 8)) + 3 * np.eye(8)[np.arange(200) % 2]
    >>> np.bincount(SphericalKMeans(2, random_state=0).fit_predict(X)).sum()
    200

    Reference: I. Dhillon and D. Modha, Machine Learning 42, 2001.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        normalize: bool = True,
        n_init: int = 5,
        max_iter: int = 300,
        tol: float = 1e-7,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.normalize = normalize
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit from `n_init` starts side by side; the one of the largest mean cosine wins.

        Args:
            X: Rows `(n_samples, n_features)`.
            y: Ignored.
            sample_weight: Nonnegative weights `(n_samples,)`.

        Raises:
            ValueError: A zero row, fewer rows than clusters.
        """
        X = read(self, X, fitting=True)
        weights = weights_of(sample_weight, X)
        points = unit_rows(X, self.normalize)
        used, w = points, torch.ones(len(points), dtype=torch.float64) if weights is None else weights
        if weights is not None:
            used, w = points[w > 0], w[w > 0]
        if self.n_clusters > len(used):
            raise ValueError(
                f"n_clusters: expected at most n_samples={len(used)}, got {self.n_clusters} for {len(used)} sample(s)"
            )
        with seeded(self.random_state), torch.no_grad():
            laws, _ = start_laws(family_of(VonMisesFisher), Points(used, w / w.sum()), self.n_clusters, self.n_init)
            centres, self.n_iter_ = self._lloyd(used, w / w.sum(), laws.loc)
        self.cluster_centers_ = centres.to(points.dtype).numpy()
        cosines = points @ centres.to(points.dtype).mT
        best, labels = cosines.max(-1)
        self.labels_ = labels.numpy().astype(np.int32)
        full = torch.ones(len(points), dtype=torch.float64) if weights is None else weights
        self.inertia_ = float(full @ (1 - best.double()))
        return self

    def _lloyd(self, points: Tensor, w: Tensor, centres: Tensor) -> tuple[Tensor, int]:
        """Centres `(k, n)` of the best start of `(s, k, n)`, and the number of iterations."""
        before = torch.full((len(centres),), -torch.inf, dtype=torch.float64)
        for iteration in range(1, self.max_iter + 1):
            sums, value, worst = _assign(points, w, centres)
            if self.verbose:
                print(f"iteration {iteration}: mean cosine {', '.join(f'{v:.6g}' for v in value.tolist())}")
            norm = torch.linalg.vector_norm(sums, dim=-1, keepdim=True)
            # A cluster without rows moves to the row that is farthest from its own centre.
            moved = torch.where(norm > 1e-12, sums / norm.clamp(min=1e-12), points[worst].double()[:, None, :])
            if bool(((value - before).abs() <= self.tol * value.abs()).all()):
                break
            centres, before = moved, value
        return centres[int(value.argmax())], iteration

    def transform(self, X: Any) -> np.ndarray:
        """Angles in radians `(n_samples, n_clusters)` to the centres."""
        return np.arccos(np.clip(self._cosines(X), -1, 1))

    def predict(self, X: Any) -> np.ndarray:
        """The nearest centre `(n_samples,)` of each row."""
        return self._cosines(X).argmax(axis=1).astype(np.int32)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the sum of 1 - cosine to the nearest centre."""
        return float((self._cosines(X).max(axis=1) - 1).sum())

    def _cosines(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        points = unit_rows(read(self, X, fitting=False), self.normalize).numpy()
        return points @ self.cluster_centers_.T.astype(points.dtype)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


def _assign(points: Tensor, w: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of rows by nearest centre `(s, k, n)`, mean cosines `(s,)`, and the row farthest from its centre `(s,)`."""
    starts, count, n = centres.shape
    sums = torch.zeros_like(centres)
    value = centres.new_zeros(starts)
    least, worst = torch.full_like(value, torch.inf), torch.zeros(starts, dtype=torch.long)
    size = max(1, _BLOCK // max(n, starts * count))
    for rows in torch.arange(len(points)).split(size):
        block = points[rows].double()
        best, label = (block @ centres.flatten(0, 1).mT).unflatten(-1, (starts, count)).max(-1)
        shares = torch.nn.functional.one_hot(label, count).double() * w[rows, None, None]
        sums += (shares.flatten(1).mT @ block).unflatten(0, (starts, count))
        value += w[rows] @ best
        low, where = best.min(0)
        worst = torch.where(low < least, rows[where], worst)
        least = torch.minimum(low, least)
    return sums, value, worst
