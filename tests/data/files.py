"""Small files in the formats of the published data sets."""

import io
import struct
import tarfile

import numpy as np


def idx_bytes(array):
    """An IDX file of unsigned bytes."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def cifar_batch(count, seed=0):
    """Images (count, 3, 32, 32), labels and the bytes of a batch with them, worked without the reader's arithmetic."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    content = b""
    for label, image in zip(labels, images):
        content += bytes([label])
        for channel in image:
            for row in channel:
                content += row.tobytes()
    return images, labels, content


def tar_gz(path, members):
    """Write a .tar.gz of (name or TarInfo, content) pairs."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
