"""Readers of IDX, numpy files and folders of images: right content, and named errors for anything else."""

import gzip
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from manifoldflow.data import load_images, read_idx, read_image_folder, read_numpy, split_published
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
    with pytest.raises(DataError, match="No such file"):
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
    assert load_images(tmp_path, size=64).images.shape == (1, 1, 64, 64)
    for name in ("x.npy", "x.npz", "x.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-30])
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match=rf"{name}: not a readable numpy file"):
            read_numpy(tmp_path / name)
    with pytest.raises(DataError, match=r"x\.png: not a readable image"):
        load_images(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_numpy(tmp_path / "absent.npz")


def test_idx_is_gzip_by_its_content_and_not_by_its_name(tmp_path):
    for name, content in {"a.gz": GOOD, "b": gzip.compress(GOOD)}.items():
        (tmp_path / name).write_bytes(content)
        assert read_idx(tmp_path / name).flatten().tolist() == list(range(24))


def idx_pair(folder, images="train-images-idx3-ubyte", labels="train-labels-idx1-ubyte"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(images))
    x, y = rng.integers(0, 256, (4, 5, 6), np.uint8), np.array([3, 1, 4, 1])
    (folder / images).write_bytes(idx_bytes(x))
    (folder / labels).write_bytes(idx_bytes(y))
    return torch.from_numpy(x)


def test_the_layout_of_torchvision(tmp_path):
    x = idx_pair(tmp_path / "MNIST" / "raw")
    for path in (tmp_path, tmp_path / "MNIST", tmp_path / "MNIST" / "raw"):
        assert torch.equal(load_images(path).images[:, 0], x)
    idx_pair(tmp_path / "KMNIST" / "raw")
    with pytest.raises(DataError, match=r"IDX files of one data set, found .*KMNIST/raw, .*MNIST/raw; give one"):
        load_images(tmp_path)


def test_names_of_emnist_and_qmnist(tmp_path):
    emnist = tmp_path / "emnist"
    x = idx_pair(emnist, "emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte")
    y = idx_pair(emnist, "emnist-letters-test-images-idx3-ubyte", "emnist-letters-test-labels-idx1-ubyte")
    data = load_images(emnist)
    assert torch.equal(data.images[:, 0], torch.cat([x, y]).mT)  # published on their side
    assert data.published_test == 4
    idx_pair(emnist, "emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"of one data set, found emnist-digits-\*, emnist-letters-\*; put each into"):
        load_images(emnist)

    qmnist = tmp_path / "qmnist"
    x = idx_pair(qmnist, "qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int")
    columns = np.arange(32).reshape(4, 8) % 10
    head = struct.pack(">HBB2I", 0, 12, 2, 4, 8)
    (qmnist / "qmnist-train-labels-idx2-int").write_bytes(gzip.compress(head + columns.astype(">i4").tobytes()))
    data = load_images(qmnist)
    assert torch.equal(data.images[:, 0], x)
    assert data.labels.tolist() == columns[:, 0].tolist()
    (qmnist / "qmnist-train-images-idx3-ubyte").rename(qmnist / "pictures-idx3-ubyte")
    with pytest.raises(DataError, match=r"such as train-images-idx3-ubyte\.gz, found pictures-idx3-ubyte; give them"):
        load_images(qmnist)


def save_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def test_sixteen_bits_become_eight_and_not_white(tmp_path):
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    save_image(tmp_path / "a.png", Image.fromarray(ramp))
    save_image(tmp_path / "b.tiff", Image.fromarray(ramp.astype(np.int32)))
    data = load_images(tmp_path, size=8)
    for image in data.images:
        assert torch.equal(image[0], torch.from_numpy((ramp / 257).round().astype(np.uint8)))
    save_image(tmp_path / "b.tiff", Image.fromarray(ramp.astype(np.int32) * 100))
    with pytest.raises(DataError, match=r"b\.tiff: .*expected values of 8 or 16 bits, got mode I; convert it"):
        load_images(tmp_path, size=8)


def test_images_are_turned_as_their_exif_says(tmp_path):
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[0, :] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    turned = Image.fromarray(np.rot90(upright, 1).copy())
    turned.save(tmp_path / "a.png", exif=exif)
    assert torch.equal(load_images(tmp_path, size=8).images[0, 0], torch.from_numpy(upright[..., 0]))


def test_colours_under_full_transparency_stay_hidden(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    noise[..., 3] = 0
    noise[4:, :, 3] = 255
    save_image(tmp_path / "a.png", Image.fromarray(noise))
    image = load_images(tmp_path, size=8).images[0]
    assert (image[:, :4] == 255).all()
    assert torch.equal(image[:, 4:], torch.from_numpy(noise[4:, :, :3].transpose(2, 0, 1)))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 100, 0])
    palette.save(tmp_path / "a.png", transparency=1)
    assert (load_images(tmp_path, size=8).images == 255).all()


def test_images_in_shades_of_grey_have_one_channel(tmp_path):
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    save_image(tmp_path / "a.png", grey)
    save_image(tmp_path / "b.png", grey.convert("LA"))
    data = load_images(tmp_path, size=8)
    assert torch.equal(data.images, torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(2, 1, 8, 8))
    assert "one channel, since all are grey" in data.note
    assert read_image_folder(tmp_path, size=8, grey=False).images.shape == (2, 3, 8, 8)
    save_image(tmp_path / "c.png", Image.new("RGB", (8, 8)))
    assert load_images(tmp_path, size=8).images.shape == (3, 3, 8, 8)


def test_what_is_left_out_is_said_and_changes_no_labels(tmp_path):
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/._a.png"):
        save_image(tmp_path / name, Image.new("RGB", (20, 12)))
    save_image(tmp_path / "stray.png", Image.new("RGB", (20, 12)))
    save_image(tmp_path / "dog" / "deep" / "d.png", Image.new("RGB", (20, 12)))
    (tmp_path / "dog" / "notes.txt").write_text("x")
    (tmp_path / "dog" / ".DS_Store").write_text("x")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    data = load_images(tmp_path, size=32)
    assert data.labels.tolist() == [0, 0, 1]
    assert data.note == (
        "3 images read; 7 skipped: 1 beside the class folders, 3 hidden, 1 nested deeper, 1 not a file, "
        "1 not an image; labels from 2 subfolders; resized from 20x12 to 32x32 (enlarged)"
    )
    for i in range(5):
        save_image(tmp_path / f"{i}.png", Image.new("RGB", (32, 32)))
    data = load_images(tmp_path, size=32)
    assert data.labels is None  # more images beside the folders than in them
    assert data.note.startswith("9 images read; 6 skipped")
    assert data.note.endswith("no labels; resized from 20x12 to 32x32 (enlarged)")


def test_a_folder_of_hidden_files_has_no_images(tmp_path):
    save_image(tmp_path / ".hidden" / "a.png", Image.new("RGB", (20, 12)))
    with pytest.raises(DataError, match=r"in it or in its subfolders, found none but 1 hidden; give the folder"):
        load_images(tmp_path)
