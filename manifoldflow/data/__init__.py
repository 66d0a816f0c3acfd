"""Data: readers of images and of points of manifolds, splits, dequantisation and bits per dimension."""

from .arrays import images_from_array, read_numpy
from .celeba import read_celeba
from .cifar import read_cifar10, read_cifar100
from .dequantise import bits_per_dim, dequantise, hashed_uniform, quantise
from .folder import read_image_folder
from .idx import read_idx, read_idx_folder
from .images import ImageSet, reduce_bits, split, split_published
from .lat_long import EARTH, from_lat_long, load_earth, read_lat_long, to_lat_long
from .layouts import Layout
from .point_sets import PointSet, PointSplit, ReadingSummary, split_hash
from .points import POINT_SETS, load_points
from .sources import DATA_SETS, load_images

__all__ = [
    "DATA_SETS",
    "EARTH",
    "ImageSet",
    "Layout",
    "POINT_SETS",
    "PointSet",
    "PointSplit",
    "ReadingSummary",
    "bits_per_dim",
    "dequantise",
    "from_lat_long",
    "hashed_uniform",
    "images_from_array",
    "load_earth",
    "load_images",
    "load_points",
    "quantise",
    "read_celeba",
    "read_cifar10",
    "read_cifar100",
    "read_idx",
    "read_idx_folder",
    "read_image_folder",
    "read_lat_long",
    "read_numpy",
    "reduce_bits",
    "split",
    "split_hash",
    "split_published",
    "to_lat_long",
]
