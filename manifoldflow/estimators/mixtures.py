"""Mixtures as scikit-learn estimators."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..distributions import Dirichlet, Mixture, VonMisesFisher, Watson, fit_mixture
from .rows import closed, read, seeded, unit_rows, weights_of

__all__ = ["DirichletMixture", "VonMisesFisherMixture", "WatsonMixture"]


class _Mixture(DensityMixin, BaseEstimator):
    """What mixtures of every kind share; `_points` turns rows into points."""

    _kind: ClassVar[type]
    n_components: int
    concentration = "free"
    n_init: int
    max_iter: int
    tol: float
    max_concentration: float
    random_state: Any
    warm_start: bool
    verbose: int

    def _points(self, X: np.ndarray) -> Tensor:
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit by EM from `n_init` k-means++ starts side by side.

        Args:
            X: Rows `(n_samples, n_features)`.
            y: Ignored.
            sample_weight: Nonnegative weights `(n_samples,)`; a weight of 2 counts as a row that is there twice.

        Raises:
            ValueError: A zero row, fewer rows than components.
        """
        again = self.warm_start and hasattr(self, "distribution_")
        X = read(self, X, fitting=True)
        weights = weights_of(sample_weight, X)
        points = self._points(X)
        if weights is not None:  # rows of no weight are no rows
            points, weights = points[weights > 0], weights[weights > 0]
        if self.n_components > len(points):
            raise ValueError(
                f"n_components: expected at most n_samples={len(points)}, got {self.n_components}, for "
                f"{len(points)} sample(s)"
            )
        with seeded(self.random_state):
            mixture = fit_mixture(
                self._kind,
                points,
                self.n_components,
                weights=weights,
                starts=self.n_init,
                start_from=self.distribution_ if again else None,
                iterations=self.max_iter,
                tolerance=self.tol,
                concentration=self.concentration,
                most=self.max_concentration,
                report=self._report if self.verbose else None,
            )
        assert mixture.fitting is not None
        if not mixture.fitting.converged:
            warnings.warn(
                f"EM did not converge in max_iter={self.max_iter} iterations; raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._set(mixture)
        return self

    @staticmethod
    def _report(iteration: int, log_likelihood: Tensor) -> None:
        values = ", ".join(f"{v:.6g}" for v in log_likelihood.tolist())
        print(f"iteration {iteration}: mean log density {values}")

    def _set(self, mixture: Mixture) -> None:
        self.distribution_ = mixture
        self.weights_ = mixture.weights.numpy()
        if mixture.fitting is not None:
            self.n_iter_ = max(1, mixture.fitting.iterations)
            self.converged_ = mixture.fitting.converged
            self.lower_bound_ = mixture.fitting.log_likelihood

    @classmethod
    def from_distribution(cls, mixture: Mixture, **parameters: Any) -> Self:
        """A fitted estimator from a `Mixture` of the same kind."""
        law = getattr(mixture, "component_distribution", None)
        if not isinstance(mixture, Mixture) or type(law) is not cls._kind:
            raise ValueError(f"mixture: expected a Mixture of {cls._kind.__name__}, got {mixture!r}")
        estimator = cls(n_components=len(mixture.weights), **parameters)
        estimator.n_features_in_ = mixture.event_shape[-1]
        estimator._set(mixture)
        return estimator

    def _read(self, X: Any) -> Tensor:
        check_is_fitted(self)
        return self._points(read(self, X, fitting=False)).to(self.distribution_.weights.dtype)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `(n_samples, n_components)` that rows are of each component."""
        points = self._read(X)
        return self.distribution_.responsibilities(points).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable component `(n_samples,)` of each row."""
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """`fit`, then `predict`."""
        return self.fit(X, y, sample_weight).predict(X)

    def score_samples(self, X: Any) -> np.ndarray:
        """Log densities `(n_samples,)`."""
        points = self._read(X)
        return self.distribution_.log_prob(points).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean log density, as of scikit-learn's GaussianMixture."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows `(n_samples, n_features)` drawn, and the components that they are of."""
        check_is_fitted(self)
        mixture = self.distribution_
        with seeded(self.random_state):
            labels = mixture.mixture_distribution.sample((n_samples,)).sort().values
            return mixture.sample_from(labels).numpy(), labels.numpy()

    def bic(self, X: Any) -> float:
        """The Bayesian information criterion; smaller is better."""
        return self.distribution_.bic(self._read(X))

    def aic(self, X: Any) -> float:
        """Akaike's information criterion; smaller is better."""
        return self.distribution_.aic(self._read(X))


class _Directional(_Mixture):
    """Rows are directions, or axes."""

    def __init__(
        self,
        n_components: int = 1,
        *,
        concentration: str = "free",
        normalize: bool = True,
        n_init: int = 5,
        max_iter: int = 300,
        tol: float = 1e-7,
        max_concentration: float = 1e6,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.concentration = concentration
        self.normalize = normalize
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_concentration = max_concentration
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _points(self, X: np.ndarray) -> Tensor:
        return unit_rows(X, self.normalize)

    def _set(self, mixture: Mixture) -> None:
        super()._set(mixture)
        self.means_ = mixture.component_distribution.loc.numpy()
        self.concentrations_ = mixture.component_distribution.concentration.numpy()


class VonMisesFisherMixture(_Directional):
    """A mixture of von Mises-Fisher laws: clusters of directions, such as unit embeddings.

    Args:
        n_components: Number of components.
        concentration: "free", or "tied": one for all components.
        normalize: Whether rows are scaled to unit norm; otherwise others are refused.
        n_init: Number of starts, run side by side.
        max_iter: Most iterations of EM.
        tol: Relative gain in mean log density below which it has converged.
        max_concentration: Bound, without which copies in the data make the likelihood unbounded.
        random_state: As in scikit-learn.
        warm_start: Whether `fit` goes on from the last fit.
        verbose: Whether to print each iteration.

    Attributes:
        distribution_: The `Mixture`, a Pyro distribution.
        weights_: Shares of the components.
        means_: Their mean directions.
        concentrations_: Their concentrations.
        n_iter_: Iterations of the chosen start.
        converged_: Whether they ended before `max_iter`.
        lower_bound_: Mean log density of the rows.

    >>> X = np.random.default_rng(0).normal(size=(200, 8)) + 3 * np.eye(8)[np.arange(200) % 2]
    >>> VonMisesFisherMixture(2, random_state=0).fit(X).weights_.round(2)
    array([0.5, 0.5])

    Reference: A. Banerjee et al., JMLR 6, 2005.
    """

    _kind = VonMisesFisher


class WatsonMixture(_Directional):
    """A mixture of Watson laws: clusters of axes, for which x and -x are the same. As `VonMisesFisherMixture`.

    The concentration is bounded by 1e4 in any case.

    >>> X = np.random.default_rng(0).normal(size=(200, 3)) + 9 * np.eye(3)[np.arange(200) % 2]
    >>> WatsonMixture(2, random_state=0).fit(X).weights_.round(2)
    array([0.5, 0.5])

    Reference: S. Sra and D. Karp, J. Multivariate Analysis 114, 2013.
    """

    _kind = Watson


class DirichletMixture(_Mixture):
    """A mixture of Dirichlet laws: clusters of compositions. As `VonMisesFisherMixture`, except:

    Args:
        normalize: Whether rows are divided by their sum; otherwise those that do not sum to one are refused.
        zeros: What smaller shares are raised to: the logs of zeros are infinite.

    Attributes:
        concentrations_: Parameters `(n_components, n_features)`.

    >>> X = np.random.default_rng(0).dirichlet([3.0, 4.0, 5.0], 500)
    >>> DirichletMixture(random_state=0).fit(X).concentrations_.round(1)
    array([[2.9, 3.9, 4.9]])
    """

    _kind = Dirichlet

    def __init__(
        self,
        n_components: int = 1,
        *,
        normalize: bool = True,
        zeros: float = 1e-6,
        n_init: int = 5,
        max_iter: int = 300,
        tol: float = 1e-7,
        max_concentration: float = 1e6,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.normalize = normalize
        self.zeros = zeros
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_concentration = max_concentration
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _points(self, X: np.ndarray) -> Tensor:
        return closed(X, self.normalize, self.zeros)

    def _set(self, mixture: Mixture) -> None:
        super()._set(mixture)
        self.concentrations_ = mixture.component_distribution.concentration.numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
