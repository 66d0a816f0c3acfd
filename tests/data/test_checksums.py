"""Files that carry the names of published data sets are known by their content."""

import gzip
import hashlib

import numpy as np
import pytest

from manifoldflow.data import checksums, load_images
from manifoldflow.errors import DataError

from .files import idx_bytes

IMAGES, LABELS = np.arange(48).reshape(3, 4, 4), np.array([1, 0, 1])
PACKED_LABELS = gzip.compress(idx_bytes(LABELS))
ANOTHER = np.arange(3, 51).reshape(3, 4, 4)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def known(monkeypatch):
    """A data set known by the content of its files, and one known by its packed files only, as KMNIST is."""
    packed = gzip.compress(idx_bytes(ANOTHER), mtime=0)
    table = {
        md5(idx_bytes(IMAGES)): ("MNIST", "t10k-images"),
        md5(idx_bytes(LABELS)): ("MNIST", "t10k-labels"),
        md5(packed): ("KMNIST", "t10k-images"),
    }
    monkeypatch.setattr(checksums, "_IDX_KNOWN", table)
    return packed


def write(folder, images, labels=PACKED_LABELS):
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(images)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    return folder


@pytest.mark.parametrize("level", [1, 9])
def test_known_whatever_they_are_packed_by(known, tmp_path, level):
    data = load_images(write(tmp_path, gzip.compress(idx_bytes(IMAGES), compresslevel=level)))
    assert data.note == "t10k part of MNIST as published (MD5)"
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    assert load_images(tmp_path).note == "t10k part of MNIST as published (MD5)"


def test_unknown_content_is_read_and_noted(known, tmp_path):
    changed = IMAGES.copy()
    changed[0, 0, 0] += 1
    data = load_images(write(tmp_path, gzip.compress(idx_bytes(changed))))
    assert data.note == "t10k-images-idx3-ubyte.gz: of no known checksum"
    data = load_images(write(tmp_path, gzip.compress(idx_bytes(changed)), gzip.compress(idx_bytes(1 - LABELS))))
    assert data.note == "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz: of no known checksum"


def test_images_of_one_set_with_labels_of_another_are_refused(known, tmp_path):
    with pytest.raises(DataError, match=r"it is MNIST's t10k-labels, but .*ubyte\.gz is KMNIST's t10k-images"):
        load_images(write(tmp_path, known))


def test_the_table_names_each_file_once():
    table = checksums._IDX_KNOWN
    assert len(table) == 12
    assert {name for name, _ in table.values()} == {"MNIST", "Fashion-MNIST", "KMNIST"}
    assert all(len(key) == 32 and int(key, 16) for key in table)
