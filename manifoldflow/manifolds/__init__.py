"""Manifolds: geomstats spaces whose kernels are plain torch, exact at every angle and on every boundary."""

from .adapter import BroadcastingMetric, broadcasting
from .aitchison import AitchisonMetric
from .euclidean import Euclidean, FlatMetric
from .fisher_rao import FisherRaoMetric
from .hypersphere import Hypersphere, SphereMetric
from .metric import TorchMetric
from .product import Product, ProductMetric
from .pullback import DiffeomorphicMetric, Pullback, PullbackMetric
from .rows import is_eager
from .simplex import Simplex
from .space import Space, check_points, check_tangent, tolerance
from .statistics import FrechetMean, TangentPCA, frechet_mean
from .torus import Torus, TorusMetric
from .zeros import replace_zeros

__all__ = [
    "Euclidean",
    "Hypersphere",
    "Product",
    "Pullback",
    "Simplex",
    "Space",
    "Torus",
    "TorchMetric",
    "AitchisonMetric",
    "DiffeomorphicMetric",
    "FisherRaoMetric",
    "FlatMetric",
    "ProductMetric",
    "PullbackMetric",
    "SphereMetric",
    "TorusMetric",
    "BroadcastingMetric",
    "broadcasting",
    "check_points",
    "check_tangent",
    "FrechetMean",
    "frechet_mean",
    "replace_zeros",
    "TangentPCA",
    "is_eager",
    "tolerance",
]
