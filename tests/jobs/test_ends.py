"""End points on disk: read as written, in place, and refused by name if they are something else."""

import warnings
import zipfile

import numpy as np
import pytest

from manifoldflow.errors import DataError
from manifoldflow.jobs import EndPoints, write_ends

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 23, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", "<f2"])
def test_reads_what_numpy_wrote(tmp_path, dtype):
    np.savez(tmp_path / "e.npz", other=np.arange(3), start=A.astype(dtype), end=B.astype(dtype))
    ends = EndPoints(tmp_path / "e.npz")
    assert (ends.rows, ends.shape, ends.are_images) == (23, (5,), False)
    for first, last in ((0, 22), (4, 4), (7, 19)):
        start, end = ends.read(first, last)
        assert start.dtype.isnative
        np.testing.assert_array_equal(start, A.astype(dtype)[first : last + 1])
        np.testing.assert_array_equal(end, B.astype(dtype)[first : last + 1])


def test_numpy_reads_what_is_written_in_blocks(tmp_path):
    write_ends(tmp_path / "e", A.shape, iter([A[:9], A[9:]]), iter([B[:1], B[1:]]), others={"pair_index": np.arange(4)})
    for name, array in {"start": A, "end": B, "pair_index": np.arange(4)}.items():
        np.testing.assert_array_equal(np.load(tmp_path / "e" / f"{name}.npy", allow_pickle=False), array)
    ends = EndPoints(tmp_path / "e")
    np.testing.assert_array_equal(ends.read(3, 11)[1], B[3:12])
    assert repr(ends).startswith("EndPoints(rows=23, shape=(5,), dtype=float32, path=")
    write_ends(tmp_path / "e", B.shape, [B], [A])  # end points give way to end points, and nothing else does
    np.testing.assert_array_equal(EndPoints(tmp_path / "e").read(0, 22)[0], B)
    (tmp_path / "e" / "mine.txt").write_text("")
    with pytest.raises(DataError, match="holds more than 'manifoldflow ends' wrote there"):
        write_ends(tmp_path / "e", B.shape, [B], [A])


def test_a_folder_and_a_file_of_the_same_points_are_the_same(tmp_path):
    write_ends(tmp_path / "folder", A.shape, [A], [B])
    np.savez(tmp_path / "plain.npz", start=A, end=B)
    np.savez_compressed(tmp_path / "packed.npz", start=A, end=B)
    ends = [EndPoints(tmp_path / name) for name in ("folder", "plain.npz", "packed.npz")]
    assert len({e.fingerprint() for e in ends}) == 1
    for e in ends:
        for first, last in ((5, 9), (20, 22), (0, 3)):  # also backwards
            np.testing.assert_array_equal(e.read(first, last)[0], A[first : last + 1])


def test_wrong_blocks_leave_no_file(tmp_path):
    for blocks in ([A[:9]], [A, A], [A[:, :4]]):
        with pytest.raises(ValueError, match="start: expected"):
            write_ends(tmp_path / "e", A.shape, blocks, [B])
        assert not list(tmp_path.iterdir())


def test_fingerprint_is_that_of_the_content(tmp_path):
    for name, start in (("a", A), ("b", A), ("c", B)):
        np.savez(tmp_path / f"{name}.npz", start=start, end=B)
    a, b, c = (EndPoints(tmp_path / f"{name}.npz").fingerprint() for name in "abc")
    assert a == b != c


IMAGES = np.zeros((23, 1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"start": A}, "expected the arrays start and end, found start"),
        ({"start": A, "end": B[:9]}, "expected start and end of one shape"),
        ({"start": A, "end": B.astype(float)}, "expected start and end of one shape and dtype"),
        ({"start": A[0], "end": B[0]}, "expected at least one row of points"),
        ({"start": A[:0], "end": B[:0]}, "expected at least one row"),
        ({"start": A.astype(int), "end": B.astype(int)}, "expected at least one row of points"),
        ({"start": IMAGES[0], "end": IMAGES[0]}, "expected at least one row"),
        ({"start": A.astype(np.longdouble), "end": B.astype(np.longdouble)}, "expected at least one row of points"),
        ({"start": np.asfortranarray(A), "end": B}, r"column by column; write numpy\.ascontiguousarray\(start\)"),
    ],
)
def test_refuses_other_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "e.npz", start=A, end=B)
    EndPoints(tmp_path / "e.npz")
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(DataError, match=message):
        EndPoints(tmp_path / "e.npz")


def save(path, **arrays):
    """As an .npz file or, without that ending, as a folder."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)


@pytest.mark.parametrize("name", ["e.npz", "e"])
def test_refuses_pickles_without_loading_them(tmp_path, name):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    save(tmp_path / name, start=np.array([[Evil()]], dtype=object), end=B)
    with pytest.raises(DataError, match="it holds pickled objects"):
        EndPoints(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "message"), [("e.npz", "Bad CRC-32"), ("e", "the header promises 460 bytes")])
def test_refuses_negative_shapes(tmp_path, name, message):
    save(tmp_path / name, start=A, end=B)
    EndPoints(tmp_path / name)
    path = tmp_path / name if name == "e.npz" else tmp_path / name / "start.npy"
    path.write_bytes(path.read_bytes().replace(b"(23, 5), }  ", b"(-23, -5), }"))
    with pytest.raises(DataError, match=message):
        EndPoints(tmp_path / name)


def test_refuses_missing_truncated_and_damaged_files(tmp_path):
    path = tmp_path / "e.npz"
    with pytest.raises(DataError, match=r"missing or damaged \(no such file or folder\); write it anew"):
        EndPoints(path)
    np.savez(path, start=A, end=B)
    EndPoints(path).fingerprint()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"missing or damaged .*zip"):
        EndPoints(path)
    at = content.index(A.tobytes())
    path.write_bytes(content[:at] + b"?" + content[at + 1 :])
    with pytest.raises(DataError, match=r"damaged \(Bad CRC-32"):
        EndPoints(path).fingerprint()


def test_refuses_a_name_that_appears_twice(tmp_path):
    path = tmp_path / "e.npz"
    np.savez(path, start=A, end=B)
    EndPoints(path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read("start.npy")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("start.npy", content)
    with pytest.raises(DataError, match=r"'start\.npy' appears twice"):
        EndPoints(path)


def test_a_damaged_folder_is_refused(tmp_path):
    write_ends(tmp_path / "e", A.shape, [A], [B])
    EndPoints(tmp_path / "e").fingerprint()
    path = tmp_path / "e" / "end.npy"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"SHA-256 .* when it was written.*write it anew"):
        EndPoints(tmp_path / "e").fingerprint()
    path.write_bytes(content[:-8])
    with pytest.raises(DataError, match="the header promises 460 bytes of data, got 452"):
        EndPoints(tmp_path / "e")
    path.unlink()
    with pytest.raises(DataError, match="expected the arrays start and end, found start"):
        EndPoints(tmp_path / "e")
