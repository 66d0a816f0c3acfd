"""Places on the Earth: the convention on known ones, the real format, and line numbers in every error."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.data import from_lat_long, load_earth, read_lat_long, to_lat_long
from manifoldflow.errors import DataError
from manifoldflow.manifolds import Hypersphere


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "places.csv"
    path.write_bytes(text.encode(encoding))
    return read_lat_long(path)


def test_poles_equator_and_axes(tmp_path):
    points = read(tmp_path, "90,0\n-90,77\n0,0\n0,90\n0,-180\n0,180\n0,270\n")
    expected = [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [-1, 0, 0], [0, -1, 0]]
    assert points.dtype == torch.float64
    torch.testing.assert_close(points, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)


def test_distances_between_cities(tmp_path):
    """Great circles on a sphere of radius 6371.0 km: Paris to New York 5837 km, London to Sydney 16994 km."""
    cities = "lat,long\n48.8566,2.3522\n40.7128,-74.0060\n51.5074,-0.1278\n-33.8688,151.2093\n"
    paris, new_york, london, sydney = read(tmp_path, cities)
    metric = Hypersphere(2).metric
    assert 6371.0 * float(metric.dist(paris, new_york)) == pytest.approx(5837, abs=2)
    assert 6371.0 * float(metric.dist(london, sydney)) == pytest.approx(16994, abs=3)
    assert paris[2] > 0 > sydney[2]  # the north is up
    assert new_york[1] < 0 < paris[1]  # the east is positive


@pytest.mark.parametrize(
    "text",
    [
        "10.5,-20.25\n-30,40\n",
        "# https://example.org/source\n10.5,-20.25\n-30,40",
        "# two\n# comments\r\nLATITUDE,LONGITUDE\r\n10.5,-20.25\r\n\r\n-30,40\r\n",
        "Latitude,Longitude\n 10.5 , -20.25 \n-30,40\n\n",
        'name,long,lat\nhere,-20.25,10.5\n"there, far",40,-30\n',
        "\ufefflat,lon,depth\n10.5,-20.25,7\n-30,40,\n",
        "lat,lon\n1.05e1,339.75\n-30,40\n",
    ],
)
def test_formats(tmp_path, text):
    expected = from_lat_long(torch.tensor([[10.5, -20.25], [-30, 40]], dtype=torch.float64))
    torch.testing.assert_close(read(tmp_path, text), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected lines of latitude and longitude, found none"),
        ("# only\nlat,long\n", "expected lines of latitude and longitude, found none"),
        ("1,2\n91,0\n", r"places\.csv: line 2: latitude: expected -90 to 90 degrees, got 91"),
        ("#\n\nlat,long\n1,2\n1,-181\n", r"line 5: longitude: expected -180 to 360 degrees, got -181"),
        ("1,2\n3,361\n", "line 2: longitude: expected -180 to 360 degrees, got 361"),
        ("1,2\nnan,4\n", "line 2: latitude: expected -90 to 90 degrees, got nan"),
        ("1,2\n3,inf\n", "line 2: longitude: expected -180 to 360 degrees, got inf"),
        ("1,2\n3,\n", "line 2: longitude: expected degrees, got ''"),
        ("1,2\n3\n", "line 2: expected at least 2 columns, got 1"),
        ("1,2\n12 N,4\n", "line 2: latitude: expected degrees, got '12 N'"),
        ("1,2,3\n", "line 1: expected two columns, or a header that names them, got 3 columns"),
        ("x,y\n1,2\n", r"line 1: expected one column named lat\.\.\. and one named lon\.\.\. or lng, got 'x, y'"),
        ("lat,lat2,lon\n1,2,3\n", r"line 1: expected one column named lat\.\.\."),
        ("152.4,-25.1\n", "line 1: latitude: expected -90 to 90 degrees, got 152.4"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_unreadable_files(tmp_path):
    with pytest.raises(DataError, match="expected CSV text"):
        read(tmp_path, "1,2\n\xff", encoding="latin-1")
    with pytest.raises(DataError, match="no such file"):
        read_lat_long(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="expected CSV text"):
        read_lat_long(tmp_path)


@given(
    places=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_round_trip_stays_on_the_sphere(places, dtype):
    degrees = torch.tensor(places, dtype=dtype)
    points = from_lat_long(degrees)
    assert points.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(len(places), dtype=dtype), rtol=0, atol=4 * eps)
    torch.testing.assert_close(from_lat_long(to_lat_long(3 * points)), points, rtol=0, atol=20 * eps)
    assert float(to_lat_long(points)[:, 0].abs().max()) <= 90 * (1 + eps)


def test_batches_and_gradients_of_the_inverse():
    assert from_lat_long(torch.zeros(2, 0, 2)).shape == (2, 0, 3)
    point = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    latitude, longitude = to_lat_long(point)
    assert (float(latitude.detach()), float(longitude.detach())) == (0, 90)
    latitude.backward()
    assert point.grad[2] == pytest.approx(math.degrees(1))
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], requires_grad=True)
    assert to_lat_long(poles)[:, 0].tolist() == [90, -90]
    to_lat_long(poles).sum().backward()
    assert torch.isfinite(poles.grad).all()


@pytest.mark.parametrize(("name", "count"), [("volcano", 827), ("earthquake", 6120)])
def test_places_that_ship_with_the_package(name, count):
    points = load_earth(name)
    assert points.shape == (count, 3)
    assert points.dtype == torch.float64
    torch.testing.assert_close(torch.linalg.vector_norm(points, dim=-1), torch.ones(count, dtype=torch.float64))
    # Japan's and Indonesia's are in both: a tenth and more lie within 25 degrees of 20 N 130 E.
    middle = from_lat_long(torch.tensor([20.0, 130.0], dtype=torch.float64))
    assert (points @ middle > math.cos(math.radians(25))).double().mean() > 0.1


def test_unknown_places_are_refused():
    assert len(load_earth("volcano"))
    with pytest.raises(ValueError, match="name: expected 'earthquake' or 'volcano'"):
        load_earth("flood")


def test_lng_is_a_longitude(tmp_path):
    for name in ("lon", "LNG"):
        (tmp_path / f"{name}.csv").write_text(f"id,{name},lat\n1,90,0\n")
        torch.testing.assert_close(
            read_lat_long(tmp_path / f"{name}.csv"), torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
        )
