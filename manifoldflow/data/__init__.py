"""Image data: readers, splits, dequantisation and bits per dimension."""

from .arrays import images_from_array, read_numpy
from .dequantise import bits_per_dim, dequantise, hashed_uniform, quantise
from .folder import read_image_folder
from .idx import read_idx, read_idx_folder
from .images import ImageSet, split
from .load import DATA_SETS, load_images

__all__ = [
    "DATA_SETS",
    "ImageSet",
    "bits_per_dim",
    "dequantise",
    "hashed_uniform",
    "images_from_array",
    "load_images",
    "quantise",
    "read_idx",
    "read_idx_folder",
    "read_image_folder",
    "read_numpy",
    "split",
]
