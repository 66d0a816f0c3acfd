"""Files of end points: read as written, in place, and refused by name if they are something else."""

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
    write_ends(
        tmp_path / "e.npz", A.shape, iter([A[:9], A[9:]]), iter([B[:1], B[1:]]), others={"pair_index": np.arange(4)}
    )
    with np.load(tmp_path / "e.npz", allow_pickle=False) as content:
        np.testing.assert_array_equal(content["start"], A)
        np.testing.assert_array_equal(content["end"], B)
        np.testing.assert_array_equal(content["pair_index"], np.arange(4))
    np.testing.assert_array_equal(EndPoints(tmp_path / "e.npz").read(3, 11)[1], B[3:12])


def test_wrong_blocks_leave_no_file(tmp_path):
    for blocks in ([A[:9]], [A, A], [A[:, :4]]):
        with pytest.raises(ValueError, match="start: expected"):
            write_ends(tmp_path / "e.npz", A.shape, blocks, [B])
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
        ({"start": A}, "expected the arrays start and end, found start.npy"),
        ({"start": A, "end": B[:9]}, "expected start and end of one shape"),
        ({"start": A, "end": B.astype(float)}, "expected start and end of one shape and dtype"),
        ({"start": A[0], "end": B[0]}, "expected at least one row of points"),
        ({"start": A[:0], "end": B[:0]}, "expected at least one row"),
        ({"start": A.astype(int), "end": B.astype(int)}, "expected at least one row of points"),
        ({"start": IMAGES[0], "end": IMAGES[0]}, "expected at least one row"),
        ({"start": A.astype(np.longdouble), "end": B.astype(np.longdouble)}, "expected at least one row of points"),
        ({"start": np.asfortranarray(A), "end": B}, "not an array of numbers in row order"),
    ],
)
def test_refuses_other_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "e.npz", start=A, end=B)
    EndPoints(tmp_path / "e.npz")
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(DataError, match=message):
        EndPoints(tmp_path / "e.npz")


def test_refuses_pickles_without_loading_them(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    np.savez(tmp_path / "e.npz", start=np.array([[Evil()]], dtype=object), end=B)
    with pytest.raises(DataError, match="not an array of numbers"):
        EndPoints(tmp_path / "e.npz")
    assert not (tmp_path / "ran").exists()


def test_refuses_negative_shapes(tmp_path):
    path = tmp_path / "e.npz"
    np.savez(path, start=A, end=B)
    assert EndPoints(path).rows == 23
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(23, 5), }  ", b"(-23, -5), }"))
    with pytest.raises(DataError, match="not an array of numbers"):
        EndPoints(path)


def test_refuses_compressed_missing_truncated_and_damaged_files(tmp_path):
    path = tmp_path / "e.npz"
    with pytest.raises(DataError, match="missing or damaged"):
        EndPoints(path)
    np.savez_compressed(path, start=A, end=B)
    with pytest.raises(DataError, match=r"compressed; write the file with numpy\.savez"):
        EndPoints(path)
    np.savez(path, start=A, end=B)
    EndPoints(path).fingerprint()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="missing or damaged"):
        EndPoints(path)
    at = content.index(A.tobytes())
    path.write_bytes(content[:at] + b"?" + content[at + 1 :])
    with pytest.raises(DataError, match=r"e\.npz: damaged \(Bad CRC-32"):
        EndPoints(path).fingerprint()
