"""Points of manifolds from files: right points, a summary that adds up, and line numbers in every error."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import manifoldflow as mf
from manifoldflow.data import POINT_SETS, load_points, split_hash
from manifoldflow.data.layouts import LAYOUTS, Angles, Coordinates, LatLong, Shares, UnitVectors, layout_from
from manifoldflow.data.points import read_like
from manifoldflow.errors import DataError

PLACES = "time,place,breite,laenge\n2011-03-11,Tōhoku,38.3,142.4\n1960-05-22,Valdivia,-39.5,-74.5\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="points.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def save(tmp_path):
    def save(array, name="points.npy", **others):
        path = tmp_path / name
        np.savez(path, points=array, **others) if others else np.save(path, array)
        return path

    return save


def close(found, expected, **options):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=0, atol=1e-12, **options)


@pytest.mark.parametrize("name", POINT_SETS)
def test_what_ships_with_the_package(name):
    points = load_points(name)
    assert points.space.belongs(points.points).all()
    assert points.source
    assert points.points.dtype == torch.float64
    assert points.summary.rows == len(points)


def test_places_that_ship_are_those_of_load_earth():
    assert torch.equal(load_points("volcanoes").points, mf.data.load_earth("volcano"))
    assert load_points("volcanoes").summary.copies == 560


def test_hongite_is_the_published_table():
    """Percentages of five minerals add up to 100, but for rounding; a row that the table prints."""
    points = load_points("compositions")
    assert points.points.shape == (25, 5)
    close(points.points[9], [0.426, 0.466, 0.007, 0.056, 0.045])
    assert "closed to sum 1 from 99.9 to 100" in points.summary.note
    assert points.summary.left_aside == ("specimen",)


def test_places_with_other_names_a_label_and_dates(write):
    found = load_points(write(PLACES), "sphere", columns="breite,laenge", label="place", time="time")
    expected = mf.data.from_lat_long(torch.tensor([[38.3, 142.4], [-39.5, -74.5]]).double())
    torch.testing.assert_close(found.points, expected, rtol=0, atol=1e-7)
    assert found.classes == ("Tōhoku", "Valdivia")
    assert found.labels.tolist() == [0, 1]
    assert found.time.tolist() == [1299801600.0, -303350400.0]  # date -d 2011-03-11 +%s
    assert found.summary.left_aside == ()
    assert "(breite, laenge)" in found.summary.describe()


def test_places_by_their_usual_names_leave_the_rest_aside(write):
    text = "id,Longitude,depth,Latitude\nus1,90,10,0\nus2,90,12,0\n"
    found = load_points(write(text), "sphere")
    close(found.points, [[0, 1, 0], [0, 1, 0]])
    assert found.summary.left_aside == ("id", "depth")
    assert found.summary.copies == 1
    assert "2 rows read, 0 skipped, 1 copies" in found.summary.describe()


@pytest.mark.parametrize("mark", [",", "\t", ";", " "])
def test_what_separates_cells(write, mark):
    text = "# a comment\nspecimen,a,b,c\nS1,1,1,2\n\nS2,4,2,2\n".replace(",", mark)
    found = load_points(write(text), "simplex", label="specimen")
    close(found.points, [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
    assert found.layout.names == ("a", "b", "c")
    assert "closed to sum 1 from 4 to 8" in found.summary.note


def test_columns_by_number_and_an_index_without_a_name(write):
    text = ",a,b,c\n0,1,1,2\n1,4,2,2\n"
    close(load_points(write(text), "simplex").points, [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
    close(load_points(write(text), "simplex", columns="2-4").points, [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
    close(load_points(write(text), "euclidean", columns=[4, "a"]).points, [[2, 1], [2, 4]])


def test_angles(write):
    text = "402d\tG\t-90\t270\n402d\tC\t180\t540\n"
    found = load_points(write(text), "torus", columns="3-4", unit="degrees", label=2)
    close(found.points.cos(), [[0, 0], [-1, -1]])
    close(found.points[0], [-math.pi / 2, -math.pi / 2])
    assert found.classes == ("C", "G")
    close(found.layout.from_points(found.points)[0], [-90, -90])
    radians = load_points(write("phi,psi\n-1.5,6.2\n"), "torus")
    close(radians.points, [[-1.5, 6.2 - 2 * math.pi]])
    assert load_points(write("phi\n7\n"), "torus", unit="radians").points.item() == pytest.approx(7 - 2 * math.pi)
    assert "radians" in load_points(write("phi\n3\n"), "torus", unit="degrees").summary.note


def test_embeddings(save):
    array = np.random.default_rng(0).normal(size=(20, 512)).astype(np.float32)
    unit = array / np.linalg.norm(array, axis=1, keepdims=True)
    found = load_points(save(unit), "sphere")
    assert found.points.dtype == torch.float32
    assert found.space.dim == 511
    with pytest.raises(DataError, match=r"row 0: expected a unit vector, got norm 22\.\d+; pass normalise=True"):
        load_points(save(array), "sphere")
    found = load_points(save(1e30 * array), "sphere", normalise=True)
    torch.testing.assert_close(found.points, torch.from_numpy(unit), rtol=0, atol=1e-6)
    assert "scaled to unit norm" in found.summary.note


def test_numpy_files_with_labels(save, tmp_path):
    path = save(
        np.eye(3), "points.npz", labels=np.array([2, 10, 2]), time=np.array([1.0, 2.0, 3.0]), seed=np.array([1])
    )
    found = load_points(path, "sphere")
    assert found.classes == ("2", "10")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.time.tolist() == [1, 2, 3]
    assert found.summary.left_aside == ("seed",)
    np.savez(tmp_path / "other.npz", latents=np.eye(4))
    assert load_points(tmp_path / "other.npz", mf.Hypersphere(3)).points.shape == (4, 4)


def test_missing_coordinates_are_refused_or_counted(write):
    path = write("lat,lon\n1,2\n,3\n4,NaN\n")
    with pytest.raises(DataError, match=r"line 3: lat is missing, and 2 of 3 rows .* missing='skip'"):
        load_points(path, "sphere")
    found = load_points(path, "sphere", missing="skip")
    assert (len(found), found.summary.rows, found.summary.skipped) == (1, 3, 2)


def test_zeros(write):
    path = write("a,b,c\n1,1,2\n4,0,4\n")
    with pytest.raises(
        DataError, match=r"line 3: b is 0, .* 1 of 2 rows .*replace_zeros, or pass zeros='multiplicative'"
    ):
        load_points(path, "simplex")
    found = load_points(path, "simplex", zeros="multiplicative")
    close(found.points[1], [4 / 9, 1 / 9, 4 / 9])  # 1 / 3^2 for the zero, the rest in proportion
    assert "zeros of 1 rows replaced" in found.summary.note
    counts = load_points(path, "simplex", zeros="bayesian")
    torch.testing.assert_close(
        counts.points, mf.manifolds.replace_zeros(torch.tensor([[1, 1, 2], [4, 0, 4.0]]).double(), "bayesian")
    )


GOOD = {
    "sphere": "x,y,z\n1,0,0\n0,1,0\n",
    "torus": "a,b\n1,0\n0,1\n",
    "simplex": "a,b\n1,2\n2,1\n",
    "euclidean": "a,b\n1,2\n2,1\n",
}


@pytest.mark.parametrize(
    ("space", "text", "options", "message"),
    [
        ("sphere", "x,y,z\n1,0,0\n0,1,1\n", {}, r"line 3: expected a unit vector, got norm 1\.41421"),
        ("sphere", "x,y,z\n1,0,0\n0,0,0\n", {"normalise": True}, "line 3: a row of zeros has no direction"),
        ("sphere", "a,b\n1,2\n91,0\n", {}, "line 3: latitude: expected -90 to 90 degrees, got 91"),
        ("sphere", "a,b\n1,2\n91,0\n1,999\n", {}, r"got 91.0 \(2 of 3 rows are refused for this\)"),
        ("sphere", "a\n1\n", {}, "expected at least 2 columns of coordinates on the sphere, got 1"),
        ("torus", "a,b\n1,2\n3,400\n", {}, r"line 3: expected angles of at most a turn.* got 400; pass unit='degrees'"),
        ("simplex", "a,b\n1,2\n-1,2\n", {}, "line 3: expected amounts of at least 0, got -1"),
        ("simplex", "a,b\n1,2\n0,0\n", {}, "line 3: a row of zeros has no shares"),
        ("euclidean", "a,b\n1,2\n3,x\n", {}, "line 3: b: expected a number, got 'x'; name the columns"),
        ("euclidean", "a,b\n1,2\n3\n", {}, "line 3: expected at least 2 columns, got 1"),
        ("euclidean", "a,b\n1,2\n3,inf\n", {}, "line 3: b: expected a number, got 'inf'"),
        ("euclidean", "a,b\n", {}, "expected lines of numbers, found none"),
        ("euclidean", "", {}, "expected lines of numbers, found none"),
        (
            "euclidean",
            "a,b\n1,2\n",
            {"columns": "a,c"},
            "columns: expected the name or number of a column, got 'c'; there are: a, b",
        ),
        ("euclidean", "a,b\n1,2\n", {"columns": "a,a"}, "columns: expected each column once, got a, a"),
        ("euclidean", "a,a\n1,2\n", {"columns": "a"}, "columns: expected the name or number of one column"),
        ("euclidean", "1,2\n", {"columns": "2-4"}, "got '3'; there are: columns 1 to 2, without names"),
        ("euclidean", "a,b,c\n1,2,x\n3,4,\n", {"label": "c"}, "line 3: expected a label, got an empty cell"),
        ("euclidean", "a,b,c\n1,2,x\n", {"time": "c"}, "line 2: time: expected a number or an ISO date such as"),
        ("sphere", GOOD["sphere"], {"unit": "degrees"}, "unit: only the torus has this option, got it for the sphere"),
        ("torus", GOOD["torus"], {"normalise": True}, "normalise: only the sphere has this option"),
        ("torus", GOOD["torus"], {"zeros": "bayesian"}, "zeros: only the simplex has this option"),
        (
            "simplex",
            GOOD["simplex"],
            {"zeros": "drop"},
            "zeros: expected one of 'refuse', 'multiplicative', 'bayesian'",
        ),
        ("spere", GOOD["sphere"], {}, "space: expected one of .* did you mean 'sphere'"),
        (mf.Torus(3), GOOD["torus"], {}, r"expected points of Torus\(3\), got 2 columns"),
        (mf.manifolds.Product([mf.Torus(1), mf.Torus(1)]), GOOD["torus"], {}, "space: expected one of sphere, torus"),
    ],
)
def test_refusals_name_the_line_and_the_remedy(write, space, text, options, message):
    good = space if isinstance(space, str) and space in GOOD else "torus"
    assert len(load_points(write(GOOD[good], "good.csv"), good)) == 2
    with pytest.raises(ValueError, match=message):
        load_points(write(text), space, **options)


def test_files_that_are_none(tmp_path, save):
    assert len(load_points(save(np.eye(3)), "sphere")) == 3
    with pytest.raises(DataError, match="data: expected earthquakes, volcanoes, compositions or an existing file"):
        load_points(tmp_path / "absent.csv", "sphere")
    with pytest.raises(DataError, match="expected a file, found a folder"):
        load_points(tmp_path, "sphere")
    with pytest.raises(DataError, match="without pickled objects"):
        load_points(save(np.array([{}], dtype=object)), "sphere")
    with pytest.raises(DataError, match="expected numbers of shape"):
        load_points(save(np.zeros((2, 2, 2))), "sphere")
    with pytest.raises(DataError, match="row 1: coordinate 2 is missing"):
        load_points(save(np.array([[1.0, 0, 0], [0, math.nan, 1]])), "sphere")
    with pytest.raises(DataError, match="columns: only text files have them"):
        load_points(save(np.eye(3)), "sphere", columns="1-3")
    with pytest.raises(ValueError, match="volcanoes is read as it ships"):
        load_points("volcanoes", columns="1-2")
    with pytest.raises(ValueError, match="space: volcanoes are points of the sphere, got torus"):
        load_points("volcanoes", "torus")


def test_splits_are_disjoint_repeatable_and_named():
    points = load_points("earthquakes")
    split = points.split(3)
    parts = [split.train, split.validation, split.test]
    assert [len(part) for part in parts] == [4896, 612, 612]
    joined = torch.cat([part.points for part in parts])
    assert torch.equal(joined.sort(0).values, points.points.sort(0).values)
    assert split.hash == points.split(3).hash == split_hash(split.train.points, split.test.points)
    assert split.hash != points.split(4).hash
    small = load_points("compositions").split(0)
    assert [len(part) for part in (small.train, small.validation, small.test)] == [21, 2, 2]
    with pytest.raises(ValueError, match="validation, test: expected positive fractions"):
        points.split(0, test=1.0)
    with pytest.raises(DataError, match="4 points are too few for three parts"):
        points.select(torch.arange(4)).split(0)
    assert len(points.select(torch.arange(5)).split(0).train) == 2


@given(
    seed=st.integers(0, 2**31),
    layout=st.sampled_from(
        [
            LatLong(),
            UnitVectors(("x", "y", "z", "w")),
            Angles(("a", "b"), "degrees"),
            Angles(("a",), "radians"),
            Shares(("a", "b", "c")),
            Coordinates(("a", "b")),
        ]
    ),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_layouts_go_there_and_back(seed, layout, dtype):
    generator = torch.Generator().manual_seed(seed)
    points = layout.space.random_point(5, dtype=dtype, generator=generator)
    found, _ = layout.to_points(layout.from_points(points), str)
    assert found.dtype == dtype
    torch.testing.assert_close(found, points, rtol=0, atol=40 * torch.finfo(dtype).eps)
    assert layout_from(layout.to_json()) == layout
    assert LAYOUTS[layout.kind] is type(layout)


def test_more_rows_like_those_of_a_file(write, save):
    layout = load_points(write("id,A,B\n7,1,3\n"), "simplex", columns="A,B").layout
    close(read_like(write("B,A,note\n1,1,7\n", "more.csv"), layout), [[0.5, 0.5]])
    close(read_like(write("1,3\n", "bare.csv"), layout), [[0.25, 0.75]])
    with pytest.raises(DataError, match=r"expected 2 columns of coordinates \(A, B\), got 3"):
        read_like(save(np.ones((1, 3))), layout)


def test_the_hash_of_a_split_does_not_see_the_last_digits():
    """Sines of the same angles differ in the last bit between processors."""
    points = load_points("volcanoes").points
    nearby = torch.nextafter(points, torch.full_like(points, 9.0))
    assert split_hash(points) == split_hash(nearby) == split_hash(points + 1e-17)
    assert split_hash(points) != split_hash(points + 1e-7)
    assert split_hash(points) != split_hash(points.flip(0))
    large = 1e12 * points
    assert split_hash(large) == split_hash(torch.nextafter(large, torch.zeros_like(large))) != split_hash(points)
    assert split_hash(points[:0]) != split_hash(points[:1])
