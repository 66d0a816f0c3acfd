"""Densities and mixtures on manifolds as scikit-learn estimators: numpy in and out, scikit-learn's parameter names."""

from .densities import SimplexKDE, TorusKDE, VonMisesFisherKDE
from .kmeans import SphericalKMeans
from .mixtures import DirichletMixture, VonMisesFisherMixture, WatsonMixture

__all__ = [
    "DirichletMixture",
    "SimplexKDE",
    "SphericalKMeans",
    "TorusKDE",
    "VonMisesFisherKDE",
    "VonMisesFisherMixture",
    "WatsonMixture",
]
