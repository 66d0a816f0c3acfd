"""Files that mean harm, or are not what they are called: refused by name, and nothing in them is executed."""

import gzip
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from manifoldflow.data import load_images, read_idx, read_numpy
from manifoldflow.errors import DataError
from manifoldflow.files import read_json, read_npz, write_json
from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.training import SavedFlow, load_flow, save_flow
from manifoldflow.training.checkpoint import read_checkpoint

GIB = 1 << 30


@pytest.fixture
def malicious(tmp_path):
    """A pickle that creates a file when it is loaded, and that file."""
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return open, (str(marker), "w")

    pickle.loads(pickle.dumps(Malicious())).close()
    assert marker.exists()  # it works
    marker.unlink()
    return Malicious(), marker


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "pickled.npz", "pickled.npy"])
def test_pickles_as_numpy_files(tmp_path, malicious, name):
    culprit, marker = malicious
    path = tmp_path / name
    if name.startswith("x"):
        path.write_bytes(pickle.dumps(culprit))
    elif name.endswith(".npz"):
        np.savez(path, images=np.array([culprit], dtype=object))
    else:
        np.save(path, np.array([culprit], dtype=object))
    for read in (load_images, read_numpy):
        with pytest.raises(DataError, match=f"{name}: not a readable numpy file without pickled objects"):
            read(path)
    with pytest.raises(DataError, match=f"{name}: damaged"):
        read_npz(path)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["torch.save", "pickle", "inside", "truncated", "empty"])
def test_pickles_as_checkpoints(tmp_path, malicious, kind):
    culprit, marker = malicious
    path = tmp_path / "last.ckpt"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(culprit))
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        torch.save({"state_dict": {}, "culprit": culprit if kind == "inside" else 1, "x": torch.zeros(100)}, path)
        if kind == "torch.save":
            torch.save(culprit, path)
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"last\.ckpt: not a readable checkpoint .*nothing in it was executed") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)
    assert not marker.exists()


def test_a_sound_checkpoint_is_read(tmp_path):
    torch.save({"global_step": 3, "state_dict": {"x": torch.ones(2)}}, tmp_path / "last.ckpt")
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 3


def test_pickles_as_weights(tmp_path, malicious):
    culprit, marker = malicious
    description = FlowDescription((1, 4, 4), levels=1, steps=1, hidden=4)
    save_flow(tmp_path, SavedFlow(build_flow(description), description, 17, {}))
    load_flow(tmp_path)
    torch.save(culprit, tmp_path / "flow.safetensors")
    with pytest.raises(DataError, match=r"flow\.safetensors: not a readable safetensors file"):
        load_flow(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "hidden",
            50_000,
            r"flow\.safetensors: the weights are those of another architecture, far smaller",
        ),
        ("hidden", 10**12, "hidden: expected an integer from 1 to 100000, got 1000000000000"),
        ("levels", 10**18, "levels: expected an integer from 1 to 12, got"),
        ("steps", 10**9, "steps: expected an integer from 1 to 1000, got"),
        ("shape", [3, 4096, 4096], "far smaller than"),
    ],
)
def test_a_description_that_asks_for_all_memory(tmp_path, field, value, message):
    description = FlowDescription((1, 4, 4), levels=1, steps=1, hidden=4)
    save_flow(tmp_path, SavedFlow(build_flow(description), description, 17, {}))
    load_flow(tmp_path)
    content = read_json(tmp_path / "flow.json")
    content["flow"] |= {field: value} if field != "shape" else {"shape": value, "levels": 12, "steps": 1000}
    write_json(tmp_path / "flow.json", content)
    with pytest.raises(DataError, match=message):
        load_flow(tmp_path)


def npy_header(shape):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def npz_of_zeros(path, size, said=None):
    """A compressed .npz with one array of `size` zeros; its directory says `said` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as file:
        file.write(npy_header(f"({size},)"))
        for _ in range(size >> 24):
            file.write(bytes(1 << 24))
    if said is not None:
        content = path.read_bytes()
        directory = content.index(b"PK\x01\x02")
        path.write_bytes(content[: directory + 24] + struct.pack("<I", said) + content[directory + 28 :])
    return path


def test_npz_bombs(tmp_path):
    assert read_npz(npz_of_zeros(tmp_path / "honest.npz", 1 << 24))["images"].shape == (1 << 24,)
    path = npz_of_zeros(tmp_path / "x.npz", 1 << 24, said=3 * GIB)
    for read in (read_numpy, read_npz):
        with pytest.raises(DataError, match=rf"x\.npz: .*promises {3 * GIB} bytes, more than the {GIB} allowed"):
            read(path)


def test_a_lying_directory_does_not_let_more_through(tmp_path):
    path = npz_of_zeros(tmp_path / "x.npz", 1 << 24, said=1000)
    with pytest.raises(DataError, match=r"x\.npz: not a readable numpy file"):
        read_numpy(path)


@pytest.mark.parametrize(
    "shape", ["(10**15,)", "(1000000000000000,)", "(1000000, 1000000, 1000000)", "(-1, -64)", "(65,)"]
)
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_numpy_headers_that_promise_something_else(tmp_path, name, shape):
    def write(shape):
        content = npy_header(shape) + bytes(64)
        if name == "x.npy":
            (tmp_path / name).write_bytes(content)
        else:
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("images.npy", content)

    write("(1, 8, 8)")
    assert load_images(tmp_path / name).images.shape == (1, 1, 8, 8)
    write(shape)
    with pytest.raises(DataError, match=rf"{name}: not a readable numpy file .*(header promises|malformed node)"):
        load_images(tmp_path / name)


@pytest.mark.parametrize("packed", [True, False])
def test_idx_bombs(tmp_path, packed):
    """A header that promises more than the file could hold, and content that goes on after what it promises."""
    header = struct.pack(">HBB3I", 0, 8, 3, 3 * 1024, 1024, 1024)
    path = tmp_path / ("x.gz" if packed else "x")
    path.write_bytes(gzip.compress(header) if packed else header)
    with pytest.raises(DataError, match=f"cannot be read .*promises {3 * GIB} bytes, more than the {GIB} allowed"):
        read_idx(path)
    header = struct.pack(">HBB3I", 0, 8, 3, 1, 2, 2)
    path.write_bytes(gzip.compress(header + bytes(4)) if packed else header + bytes(4))
    assert read_idx(path).shape == (1, 2, 2)
    path.write_bytes(gzip.compress(header) + gzip.compress(bytes(1 << 24)) * 256 if packed else header + bytes(1 << 24))
    with pytest.raises(DataError, match="longer than the 4 bytes that its header promises"):
        read_idx(path)


def png_of_zeros(path, side):
    """A PNG of side x side black pixels of one bit, which is a thousandth of its pixels' size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes(side * (1 + side // 8)), 9)
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
        chunk(b"IDAT", rows),
        chunk(b"IEND", b""),
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("side", [10_000, 16_000])
def test_png_bombs(tmp_path, side):
    png_of_zeros(tmp_path / "x.png", 64)
    assert load_images(tmp_path, size=64).images.max() == 0
    png_of_zeros(tmp_path / "x.png", side)
    assert (tmp_path / "x.png").stat().st_size < 50_000
    with pytest.raises(DataError, match=r"x\.png: not a readable image \(Image size .* exceeds limit"):
        load_images(tmp_path)


def test_mislabelled_files(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8))
    np.savez(tmp_path / "b.npz", images=np.zeros((2, 4, 4), np.uint8))
    (tmp_path / "a.npy").rename(tmp_path / "renamed.npz")
    (tmp_path / "b.npz").rename(tmp_path / "renamed.npy")
    for name in ("renamed.npz", "renamed.npy"):
        with pytest.raises(DataError, match=f"{name}: not a readable numpy file"):
            load_images(tmp_path / name)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "c.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "c.png").rename(tmp_path / "images" / "c.jpg")  # an image is an image
    assert load_images(tmp_path / "images", size=8).images.unique().tolist() == [9]
    (tmp_path / "images" / "d.jpg").write_bytes((tmp_path / "renamed.npy").read_bytes())
    with pytest.raises(DataError, match=r"d\.jpg: not a readable image"):
        load_images(tmp_path / "images")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\0\0\x08\x03")
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"\0\0\x08\x01")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: truncated inside the header; download"):
        load_images(tmp_path)


def test_an_npz_with_something_else_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("../../images.sh", b"rm -r")
    with pytest.raises(DataError, match=r"x\.npz: .*'\.\./\.\./images\.sh' is not an array"):
        read_numpy(tmp_path / "x.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_json_that_is_nested_without_end(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json: expected JSON, but it does not parse"):
        read_json(tmp_path / "x.json")
