"""Images in numpy files: .npy with the images, .npz with `images` and, if there are any, `labels`."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..checks import as_path, describe
from ..errors import DataError
from ..files import check_file
from ..files.unpacking import read_npy, read_npz
from .images import ImageSet

__all__ = ["images_from_array", "read_numpy"]


def images_from_array(array: np.ndarray, name: str) -> Tensor:
    """uint8 images (N, c, h, w) from (N, h, w), (N, c, h, w) or (N, h, w, c), c = 1 or 3, of any integer dtype.

    Raises:
        DataError: Another shape; a dtype that is no integer; values outside 0 ... 255.
    """
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name}: expected a numpy array of integer images, got {describe(array)}; use numpy.asarray")
    if array.dtype.kind == "f" and array.size and not np.isfinite(array).all():
        raise DataError(f"{name}: expected integer images, got {array.dtype} with NaN or infinite values; mend them")
    if array.dtype.kind not in "ui":
        raise DataError(
            f"{name}: expected integer images with values 0 to 255, got {array.dtype}; "
            "scale and round them to integers first"
        )
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.moveaxis(array, 3, 1)
    if array.size and (array.min() < 0 or array.max() > 255):
        raise DataError(f"{name}: expected values 0 to 255, got {array.min()} to {array.max()}; scale them first")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.uint8))


def read_numpy(path: Path, levels: int = 256) -> ImageSet:
    """An .npy or .npz file; nothing in it is unpickled.

    Raises:
        DataError: The file is missing, damaged, not what its name says, holds pickled objects or lacks the
            array `images`, or would unpack to far more than it is.
    """
    path = as_path("path", path)
    check_file(path)
    try:
        arrays = read_npz(path) if path.suffix == ".npz" else {"images": read_npy(path)}
    except Exception as error:  # numpy raises whatever the zip and npy parsers meet
        raise DataError(f"{path}: not a readable numpy file without pickled objects ({error}); save it anew") from error
    if "images" not in arrays:
        raise DataError(f"{path}: expected an array named 'images', got {', '.join(arrays) or 'none'}; rename it")
    images, labels = arrays["images"], arrays.get("labels")
    if labels is not None:
        if labels.dtype.kind not in "ui":
            raise DataError(f"{path}: labels: expected integers, got {labels.dtype}; convert them")
        if labels.size and int(labels.max()) > np.iinfo(np.int64).max:
            raise DataError(f"{path}: labels: expected integers below 2^63, got {labels.max()}; renumber them")
    integers = None if labels is None else torch.from_numpy(labels.astype(np.int64))
    return ImageSet(images_from_array(images, str(path)), integers, levels, path.stem)
