"""Manifolds: geomstats spaces whose kernels are plain torch, exact at every angle and on every boundary."""

from .adapter import BroadcastingMetric, broadcasting
from .aitchison import AitchisonMetric
from .checks import check_points, check_tangent
from .euclidean import Euclidean, FlatMetric
from .fisher_rao import FisherRaoMetric
from .frechet import frechet_mean
from .hypersphere import Hypersphere, SphereMetric
from .metric import TorchMetric
from .product import Product, ProductMetric
from .pullback import DiffeomorphicMetric, Pullback, PullbackMetric
from .simplex import Simplex
from .space import Space, tolerance
from .tangent_pca import TangentPCA
from .tracing import is_eager

__all__ = [
    "Euclidean",
    "Hypersphere",
    "Product",
    "Pullback",
    "Simplex",
    "Space",
    "TorchMetric",
    "AitchisonMetric",
    "DiffeomorphicMetric",
    "FisherRaoMetric",
    "FlatMetric",
    "ProductMetric",
    "PullbackMetric",
    "SphereMetric",
    "BroadcastingMetric",
    "broadcasting",
    "check_points",
    "check_tangent",
    "frechet_mean",
    "TangentPCA",
    "is_eager",
    "tolerance",
]
