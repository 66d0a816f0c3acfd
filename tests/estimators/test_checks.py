"""scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from manifoldflow.estimators import (
    DirichletMixture,
    SimplexKDE,
    SphericalKMeans,
    TorusKDE,
    VonMisesFisherKDE,
    VonMisesFisherMixture,
    WatsonMixture,
)

ESTIMATORS = [
    VonMisesFisherMixture(n_init=2),
    WatsonMixture(n_init=2),
    DirichletMixture(n_init=2),
    SphericalKMeans(n_init=2),
    VonMisesFisherKDE(0.3),
    SimplexKDE(0.3),
    TorusKDE(0.3),
]


ZERO_ROW = "the check's data have a row of zeros, which has no direction and no shares, and is refused by name"


def expected_failures(estimator):
    """Checks that feed a row of zeros, and why that cannot be fitted."""
    if isinstance(estimator, TorusKDE):
        return {}
    names = ["check_estimators_dtypes"]
    if isinstance(estimator, (DirichletMixture, SimplexKDE)):
        names += ["check_sample_weights_pandas_series", "check_sample_weights_not_an_array"]
    return dict.fromkeys(names, ZERO_ROW)


@pytest.mark.filterwarnings("ignore:a component met the bound")  # checks fit copies of one row
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)
