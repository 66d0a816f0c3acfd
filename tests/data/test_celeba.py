"""CelebA: crop, order, attribute and partition, from the layouts in which it is found."""

import numpy as np
import pytest
import torch
from PIL import Image

from manifoldflow.data import load_images, read_celeba, split_published
from manifoldflow.errors import DataError

ATTRIBUTES = ["5_o_Clock_Shadow", "Male", "Smiling"]
VALUES = {"000001.jpg": "-1 -1  1", "000002.jpg": "-1  1 -1", "000003.jpg": " 1  1  1", "000004.jpg": "-1 -1 -1"}
PARTS = {"000001.jpg": 0, "000002.jpg": 2, "000003.jpg": 1, "000004.jpg": 2}


def face(number):
    """178 x 218 pixels with a centred 140 x 140 square of a colour of its own on black."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = [60 * number, 100, 10]
    return pixels


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "celeba" / "img_align_celeba"
    images.mkdir(parents=True)
    for name in VALUES:
        Image.fromarray(face(int(name[:6]))).save(images / name, quality=100, subsampling=0)
    return tmp_path / "celeba"


def lists(place, csv=False):
    if csv:
        rows = "\n".join(f"{name},{','.join(row.split())}" for name, row in VALUES.items())
        (place / "list_attr_celeba.csv").write_text(f"image_id,{','.join(ATTRIBUTES)}\n{rows}\n")
        rows = "\n".join(f"{name},{part}" for name, part in PARTS.items())
        (place / "list_eval_partition.csv").write_text(f"image_id,partition\n{rows}\n")
    else:
        rows = "\n".join(f"{name} {row}" for name, row in VALUES.items())
        (place / "list_attr_celeba.txt").write_text(f"{len(VALUES)}\n{' '.join(ATTRIBUTES)} \n{rows}\n")
        (place / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, p in PARTS.items()))


@pytest.mark.parametrize("size", [32, 64])
def test_the_central_square_and_nothing_else(folder, size):
    data = load_images(folder, size=size)
    assert data.images.shape == (4, 3, size, size)
    assert (data.labels, data.published_test, data.name, data.levels) == (None, 0, "celeba", 256)
    for number, image in enumerate(data.images, 1):
        for channel, value in zip(image, (60 * number, 100, 10)):
            assert (channel.int() - value).abs().max() <= 3  # JPEG is not exact
    # Eight more pixels: four of the black border on each side show.
    wide = read_celeba(folder, size=148, crop=148).images[1]
    assert (wide[:, :3].max() < 40, wide[:, :, -3:].max() < 40, int(wide[0, 6, 6]) > 100) == (True, True, True)


@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_attribute_and_partition(folder, csv, beside):
    lists(folder if beside else folder / "img_align_celeba", csv)
    for path in (folder, folder / "img_align_celeba"):
        data = load_images(path, size=8)
        assert data.images[:, 0, 4, 4].sub(30).div(60, rounding_mode="floor").tolist() == [0, 2, 1, 3]  # 1, 3, 2, 4
        assert data.labels.tolist() == [1, 1, 0, 0]
        assert data.published_test == 2
        assert split_published(data, 0.5, seed=0)[2].labels.tolist() == [0, 0]
    assert read_celeba(folder, size=8, attribute="Male").labels.tolist() == [0, 1, 1, 0]


def test_a_folder_in_a_folder_of_its_name(folder, tmp_path):
    outer = tmp_path / "kaggle" / "img_align_celeba"
    outer.mkdir(parents=True)
    (folder / "img_align_celeba").rename(outer / "img_align_celeba")
    lists(tmp_path / "kaggle", csv=True)
    assert load_images(tmp_path / "kaggle", size=8).labels.tolist() == [1, 1, 0, 0]


def test_faults_are_named(folder):
    images = folder / "img_align_celeba"
    with pytest.raises(DataError, match="crop: expected 2 to 178 pixels, got 200"):
        read_celeba(folder, crop=200)
    lists(folder)
    with pytest.raises(DataError, match="attribute: expected one of 5_o_Clock_Shadow, Male, Smiling, got 'Bald'"):
        read_celeba(folder, attribute="Bald")
    attributes = folder / "list_attr_celeba.txt"
    text = attributes.read_text()
    for damaged in (text[: text.index("000004")], text.replace("-1 -1 -1", "-1 -1 x"), text.replace("-1 -1 -1", "-1")):
        attributes.write_text(damaged)
        with pytest.raises(DataError, match=r"list_attr_celeba\.txt: expected a line with integers for 000004\.jpg"):
            read_celeba(folder)
    for damaged in ("", "4\n"):
        attributes.write_text(damaged)
        with pytest.raises(DataError, match="attribute: expected one of none, got 'Smiling'"):
            read_celeba(folder)
    attributes.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"list_attr_celeba\.txt: expected text"):
        read_celeba(folder)
    attributes.unlink()
    Image.new("RGB", (64, 64)).save(images / "000003.jpg")
    with pytest.raises(DataError, match=r"000003\.jpg: not a readable image \(expected 178 x 218 pixels"):
        read_celeba(folder)
    (images / "000003.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"000003\.jpg: not a readable image"):
        read_celeba(folder)
    for path in images.iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"expected CelebA's aligned images \(000001\.jpg \.\.\.\), found none"):
        load_images(folder)


def test_a_partition_of_test_images_only_keeps_none_apart(folder):
    lists(folder)
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} 2\n" for name in PARTS))
    data = read_celeba(folder, size=8)
    assert data.published_test == 0
    assert torch.equal(data.labels, torch.tensor([1, 0, 1, 0]))
