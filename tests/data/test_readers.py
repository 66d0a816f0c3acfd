"""Readers of IDX, numpy files and folders of images: right content, and named errors for anything else."""

import gzip

import numpy as np
import pytest
import torch
from PIL import Image

from manifoldflow.data import load_images, read_idx, read_numpy, split_published
from manifoldflow.errors import DataError

from .files import idx_bytes


@pytest.fixture
def idx_folder(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, 5, 6)), rng.integers(0, 10, 12)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images[:3]))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels[:3])))
    return tmp_path, images, labels


def test_named_data():
    digits, mnist = load_images("digits"), load_images("mnist")
    assert (len(digits), digits.shape, digits.levels) == (1797, (1, 8, 8), 17)
    assert (len(mnist), mnist.shape, mnist.levels) == (5000, (1, 28, 28), 256)
    assert digits.labels.unique().tolist() == mnist.labels.unique().tolist() == list(range(10))


def test_idx_folder_gzipped_or_not(idx_folder):
    folder, images, labels = idx_folder
    data = load_images(folder)
    assert torch.equal(data.images[:12, 0], torch.from_numpy(images).to(torch.uint8))
    assert data.labels.tolist() == [*labels, *labels[:3]]
    assert (data.levels, data.published_test) == (256, 3)
    test = split_published(data, 0.25, seed=0)[2]
    assert torch.equal(test.images[:, 0], torch.from_numpy(images[:3]).to(torch.uint8))
    (folder / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images[:3, 1:]))
    with pytest.raises(DataError, match=r"expected train and t10k images of one size, got \[\(4, 6\), \(5, 6\)\]"):
        load_images(folder)


def test_idx_without_labels_or_with_other_counts(idx_folder):
    folder, images, _ = idx_folder
    (folder / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images[:2]))
    with pytest.raises(DataError, match=r"got \(2, 5, 6\) and \(3,\)"):
        load_images(folder)
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no train-labels-idx1-ubyte"):
        load_images(folder)


GOOD = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an IDX file .* got nothing"),
        (b"\x89PNG\r\n", "expected an IDX file .* got 89 50 4e 47"),
        (GOOD[:2] + b"\x0d" + GOOD[3:], "unsigned bytes .* got type 0d"),
        (GOOD[:9], "truncated inside the header"),
        (GOOD[:-1], "truncated: the header promises 24 bytes, got 23"),
        (GOOD + b"\0", "longer than the 24 bytes"),
        (GOOD[:4] + b"\xff" * 12, "more than the .* allowed"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_idx(tmp_path, content, message, packed):
    path = tmp_path / ("x.gz" if packed else "x")
    path.write_bytes(gzip.compress(GOOD) if packed else GOOD)
    assert read_idx(path).shape == (2, 3, 4)
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_truncated_gzip_and_missing_file(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(GOOD)[:-9])
    with pytest.raises(DataError, match=r"x\.gz: cannot be read"):
        read_idx(path)
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "absent")


@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 1, 6, 6), (4, 6, 6, 3), (4, 3, 6, 6)])
def test_numpy_layouts(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape)
    np.save(tmp_path / "x.npy", array)
    data = load_images(tmp_path / "x.npy")
    channels = 3 if 3 in (shape[1], shape[-1]) else 1
    assert data.images.shape == (4, channels, 6, 6)
    if shape == (4, 6, 6, 3):
        assert torch.equal(data.images[1, 2], torch.from_numpy(array[1, :, :, 2]).to(torch.uint8))


def test_npz_with_labels(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.array([1, 2, 1], np.int32))
    assert load_images(tmp_path / "x.npz").labels.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "expected an array named 'images', got x"),
        ({"images": np.zeros((2, 4, 4))}, "expected integer images .* got float64"),
        ({"images": np.full((2, 4, 4), np.nan)}, "float64 with NaN or infinite values"),
        ({"images": np.full((2, 4, 4), np.inf)}, "float64 with NaN or infinite values"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([1, 2**64 - 1], np.uint64)}, "below 2.63"),
        ({"images": np.full((2, 4, 4), 300)}, "expected values 0 to 255, got 300"),
        ({"images": np.full((2, 4, 4), -1)}, "expected values 0 to 255, got -1"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, "empty set"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2)}, "labels: expected integers"),
        ({"images": np.zeros(4, np.uint8)}, "expected images of shape"),
    ],
)
def test_bad_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array([1, 2]))
    assert len(read_numpy(tmp_path / "x.npz")) == 2
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_numpy(tmp_path / "x.npz")


def test_folder_of_images(tmp_path):
    for i, name in enumerate(("cat/a.png", "dog/b.png", "dog/c.jpg")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (20 + i, 12), (10 * i, 0, 255)).save(path)
    data = load_images(tmp_path, size=8)
    assert data.images.shape == (3, 3, 8, 8)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.images[0, 2].min() == 255


def test_bad_folders_and_names(tmp_path):
    with pytest.raises(DataError, match="found none"):
        load_images(tmp_path)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"a\.png: not a readable image"):
        load_images(tmp_path)
    with pytest.raises(DataError, match="expected digits, mnist or an existing file or folder, got 'mnits'"):
        load_images("mnits")
    with pytest.raises(DataError, match=r"got a file of type 'unknown'"):
        load_images("/dev/null")
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"got a file of type '\.csv'"):
        load_images(tmp_path / "x.csv")


def test_truncated_and_missing_files(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 4, 4), np.uint8))
    np.savez(tmp_path / "x.npz", images=np.zeros((5, 4, 4), np.uint8))
    Image.new("L", (64, 64)).save(tmp_path / "x.png")
    assert len(read_numpy(tmp_path / "x.npy")) == len(read_numpy(tmp_path / "x.npz")) == 5
    assert load_images(tmp_path, size=64).images.shape == (1, 3, 64, 64)
    for name in ("x.npy", "x.npz", "x.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-30])
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match=rf"{name}: not a readable numpy file"):
            read_numpy(tmp_path / name)
    with pytest.raises(DataError, match=r"x\.png: not a readable image"):
        load_images(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_numpy(tmp_path / "absent.npz")
