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
from .simplex import Simplex
from .space import Space, tolerance
from .tracing import is_eager

__all__ = [
    "Euclidean",
    "Hypersphere",
    "Product",
    "Simplex",
    "Space",
    "TorchMetric",
    "AitchisonMetric",
    "FisherRaoMetric",
    "FlatMetric",
    "ProductMetric",
    "SphereMetric",
    "BroadcastingMetric",
    "broadcasting",
    "check_points",
    "check_tangent",
    "frechet_mean",
    "is_eager",
    "tolerance",
]
