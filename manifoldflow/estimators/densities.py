"""Kernel densities as scikit-learn estimators."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._geomstats import Manifold
from ..distributions import KernelDensity
from ..manifolds import Hypersphere, Simplex, Torus
from .rows import closed, read, seeded, unit_rows, weights_of

__all__ = ["SimplexKDE", "TorusKDE", "VonMisesFisherKDE"]

BANDWIDTHS = ("leave-one-out", "adaptive")


class _KDE(DensityMixin, BaseEstimator):
    """What kernel densities share; `_points` turns rows into points of `_space`."""

    _least: ClassVar[int] = 2
    bandwidth: float | str
    uniform_share: float
    kernel = "gaussian"
    random_state: Any

    def _space(self, n: int) -> Manifold:
        raise NotImplementedError

    def _points(self, X: np.ndarray) -> Tensor:
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the density of rows X `(n_samples, n_features)`, with weights `(n_samples,)` if given; y is ignored."""
        X = read(self, X, fitting=True, least=self._least)
        weights = weights_of(sample_weight, X)
        points = self._points(X)
        if weights is not None:  # rows of no weight are no rows
            points, weights = points[weights > 0], weights[weights > 0]
        known: dict[str, Any] = {"space": self._space(points.shape[-1]), "kernel": self.kernel}
        if isinstance(self.bandwidth, str):
            with seeded(self.random_state):
                self.distribution_ = KernelDensity.fit(points, weights, method=self.bandwidth, **known)
        else:
            self.distribution_ = KernelDensity(
                points, self.bandwidth, weights=weights, uniform_share=self.uniform_share, **known
            )
        self.bandwidth_ = self.distribution_.bandwidth.numpy()
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Log densities `(n_samples,)`."""
        check_is_fitted(self)
        points = self._points(read(self, X, fitting=False, least=self._least))
        return self.distribution_.log_prob(points.to(self.distribution_.points.dtype)).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The total log density, as of scikit-learn's KernelDensity."""
        return float(self.score_samples(X).sum())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Rows `(n_samples, n_features)` drawn from the density."""
        check_is_fitted(self)
        with seeded(self.random_state if random_state is None else random_state):
            return self.distribution_.sample(torch.Size((n_samples,))).numpy()


class VonMisesFisherKDE(_KDE):
    """The kernel density of directions: a von Mises-Fisher law of concentration 1 / bandwidth^2 about each.

    Args:
        bandwidth: The width in radians; "leave-one-out" chooses one by the likelihood of each row under the others,
            "adaptive" one for each row, by its neighbours, with a uniform share, by the likelihood of a random tenth.
        uniform_share: Share of the uniform law, with a given bandwidth.
        normalize: Whether rows are scaled to unit norm; otherwise others are refused.
        random_state: As in scikit-learn.

    Attributes:
        distribution_: The `KernelDensity`.
        bandwidth_: Width of each row's law.

    >>> X = np.random.default_rng(0).normal(size=(100, 3)) + [0, 0, 5]
    >>> VonMisesFisherKDE().fit(X).score_samples([[0, 0, 1], [0, 0, -1]]) > 0
    array([ True, False])
    """

    def __init__(
        self,
        bandwidth: float | str = "leave-one-out",
        *,
        uniform_share: float = 0.0,
        normalize: bool = True,
        random_state: Any = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.uniform_share = uniform_share
        self.normalize = normalize
        self.random_state = random_state

    def _space(self, n: int) -> Manifold:
        return Hypersphere(n - 1)

    def _points(self, X: np.ndarray) -> Tensor:
        return unit_rows(X, self.normalize)


class TorusKDE(_KDE):
    """The kernel density of angles in radians, one or more a row: a product of von Mises laws about each row.

    Args:
        bandwidth, uniform_share, random_state: As of `VonMisesFisherKDE`.

    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> TorusKDE(0.5).fit(X).score_samples([[0, 0], [0, 2 * np.pi]]).round(2)
    array([-1.99, -1.99])
    """

    _least = 1

    def __init__(
        self, bandwidth: float | str = "leave-one-out", *, uniform_share: float = 0.0, random_state: Any = None
    ) -> None:
        self.bandwidth = bandwidth
        self.uniform_share = uniform_share
        self.random_state = random_state

    def _space(self, n: int) -> Manifold:
        return Torus(n)

    def _points(self, X: np.ndarray) -> Tensor:
        return torch.tensor(np.remainder(X + np.pi, 2 * np.pi) - np.pi)


class SimplexKDE(_KDE):
    """The kernel density of compositions, with respect to Lebesgue measure on the first d shares.

    Args:
        bandwidth: As of `VonMisesFisherKDE`, in units of the isometric log-ratios.
        kernel: "gaussian" in these, or "dirichlet": the law with its mode at the row.
        uniform_share: As of `VonMisesFisherKDE`.
        normalize: Whether rows are divided by their sum; otherwise those that do not sum to one are refused.
        zeros: What smaller shares are raised to: the logs of zeros are infinite.
        random_state: As in scikit-learn.

    >>> X = np.random.default_rng(0).dirichlet([30.0, 40.0, 50.0], 100)
    >>> SimplexKDE().fit(X).score_samples([[3, 4, 5], [5, 4, 3]]) > 0
    array([ True, False])
    """

    def __init__(
        self,
        bandwidth: float | str = "leave-one-out",
        *,
        kernel: str = "gaussian",
        uniform_share: float = 0.0,
        normalize: bool = True,
        zeros: float = 1e-6,
        random_state: Any = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.uniform_share = uniform_share
        self.normalize = normalize
        self.zeros = zeros
        self.random_state = random_state

    def _space(self, n: int) -> Manifold:
        return Simplex(n - 1)

    def _points(self, X: np.ndarray) -> Tensor:
        return closed(X, self.normalize, self.zeros)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
