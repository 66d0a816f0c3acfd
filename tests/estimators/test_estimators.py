"""Estimators against the distributions behind them, and in scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from manifoldflow.estimators import (
    DirichletMixture,
    SimplexKDE,
    SphericalKMeans,
    TorusKDE,
    VonMisesFisherKDE,
    VonMisesFisherMixture,
    WatsonMixture,
)

MIXTURES = [VonMisesFisherMixture, WatsonMixture, DirichletMixture]


@pytest.fixture
def clusters():
    """Rows about three axes, with positive entries, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    return np.abs(rng.normal(scale=0.3, size=(150, 4)) + 3 * np.eye(4)[labels]) + 0.05, labels


@pytest.mark.parametrize("kind", [*MIXTURES, SphericalKMeans])
def test_clusters_are_found_in_rows_of_any_length(kind, clusters):
    X, labels = clusters
    found = kind(3, random_state=0).fit_predict(X * np.linspace(0.1, 1e200, 150)[:, None])
    assert adjusted_rand_score(labels, found) == 1


@pytest.mark.parametrize("kind", MIXTURES)
def test_figures_are_those_of_the_distribution(kind, clusters):
    X, _ = clusters
    model = kind(3, random_state=0).fit(X)
    points = model._points(X)
    assert np.allclose(model.score_samples(X), model.distribution_.log_prob(points).numpy())
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.bic(X) - model.aic(X) == pytest.approx(
        model.distribution_.fitting.parameters * (np.log(len(X)) - 2), rel=1e-9
    )
    again = kind.from_distribution(model.distribution_)
    assert (again.predict(X) == model.predict(X)).all()
    assert again.bic(X) == pytest.approx(model.bic(X))


@pytest.mark.parametrize("kind", MIXTURES)
def test_draws_are_of_the_components_that_they_name(kind, clusters):
    X, _ = clusters
    model = kind(3, random_state=0).fit(X)
    drawn, labels = model.sample(300)
    assert drawn.shape == (300, 4)
    assert (model.predict(drawn) == labels).mean() > 0.97


@pytest.mark.parametrize("kind", MIXTURES)
def test_weights_count_as_repeats(kind, clusters):
    X, _ = clusters
    weights = np.arange(150) % 4
    weighted = kind(3, random_state=0).fit(X, sample_weight=weights)
    repeated = kind(3, random_state=0).fit(np.repeat(X, weights, axis=0))
    order = np.argsort(weighted.weights_), np.argsort(repeated.weights_)
    assert np.allclose(weighted.weights_[order[0]], repeated.weights_[order[1]], atol=1e-6)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-6)


def test_warm_start_goes_on():
    X = np.random.default_rng(0).normal(size=(200, 3)) + np.array([0.0, 0.0, 1.0])
    model = VonMisesFisherMixture(2, random_state=0, warm_start=True).fit(X)
    assert model.n_iter_ > 5
    assert model.fit(X).n_iter_ <= 2
    assert clone(model).fit(X).n_iter_ > 5


def test_more_components_are_chosen_by_bic_and_by_cross_validation(clusters):
    X, _ = clusters
    bic = [VonMisesFisherMixture(k, random_state=0).fit(X).bic(X) for k in (1, 2, 3)]
    assert bic[2] < bic[1] < bic[0]
    search = GridSearchCV(VonMisesFisherMixture(random_state=0), {"n_components": [1, 3]}, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3}
    widths = GridSearchCV(VonMisesFisherKDE(), {"bandwidth": [0.01, 0.1, 2.0]}, cv=3).fit(X)
    assert widths.best_params_ == {"bandwidth": 0.1}


def test_pipelines_and_pickles_work(clusters):
    X, _ = clusters
    pipeline = make_pipeline(StandardScaler(with_mean=False), VonMisesFisherMixture(3, random_state=0)).fit(X)
    assert (pickle.loads(pickle.dumps(pipeline)).predict(X) == pipeline.predict(X)).all()


@pytest.mark.parametrize("kind", [VonMisesFisherMixture, WatsonMixture, SphericalKMeans, VonMisesFisherKDE])
def test_rows_of_zeros_are_refused_by_name(kind, clusters):
    X, _ = clusters
    model = kind().fit(X)
    X[7] = 0
    with pytest.raises(ValueError, match="row 7 is zero"):
        model.fit(X)


@pytest.mark.parametrize("kind", [VonMisesFisherMixture, SphericalKMeans, VonMisesFisherKDE])
def test_without_normalize_rows_must_be_of_unit_norm(kind, clusters):
    X, _ = clusters
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    kind(normalize=False).fit(unit)
    with pytest.raises(ValueError, match="unit norm"):
        kind(normalize=False).fit(X)


def test_copies_meet_the_bound_and_say_so(clusters):
    X, _ = clusters
    VonMisesFisherMixture(2, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="met the bound"):
        VonMisesFisherMixture(2, random_state=0).fit(np.repeat(X[:2], 20, axis=0))


def test_torus_density_is_periodic_and_integrates_to_one():
    angles = np.random.default_rng(0).normal(size=(60, 2)) * 3
    model = TorusKDE().fit(angles)
    grid = np.arange(64) * 2 * np.pi / 64
    cells = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    assert np.exp(model.score_samples(cells)).mean() * (2 * np.pi) ** 2 == pytest.approx(1, abs=1e-6)
    assert np.allclose(model.score_samples(cells + 2 * np.pi), model.score_samples(cells))


@pytest.mark.parametrize("kernel", ["gaussian", "dirichlet"])
def test_simplex_density_integrates_to_one(kernel):
    X = np.random.default_rng(0).dirichlet([6.0, 7.0, 8.0], 40)
    model = SimplexKDE(kernel=kernel).fit(X)
    side = (np.arange(300) + 0.5) / 300
    a, b = (grid.ravel() for grid in np.meshgrid(side, side))
    inside = a + b < 1 - 1e-9
    cells = np.stack([a, b, 1 - a - b], -1)[inside]
    assert np.exp(model.score_samples(cells)).sum() / 300**2 == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("model", [VonMisesFisherKDE(0.3), VonMisesFisherKDE("adaptive"), TorusKDE(0.3)])
def test_draws_of_a_kernel_density_are_repeatable(model, clusters):
    X, _ = clusters
    model.fit(X)
    assert (model.sample(5, random_state=1) == model.sample(5, random_state=1)).all()
    assert model.sample(5, random_state=1).shape == (5, 4)
