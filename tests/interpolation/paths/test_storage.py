"""Polylines, and paths in files."""

import pickle

import numpy as np
import pytest
import torch

from manifoldflow.interpolation import GaussianProcessBridge, Polyline, Slerp, load_path, save_path


def test_polyline_passes_through_its_points():
    points, times = torch.randn(3, 4, 2, 2), torch.tensor([0.0, 0.1, 0.7, 1.0])
    path = Polyline(points, times, event_dim=2)
    assert torch.equal(path(times), points)
    assert torch.allclose(path(torch.tensor([0.4]))[:, 0], (points[:, 1] + points[:, 2]) / 2, atol=1e-6)
    assert torch.allclose(path.velocity(torch.tensor([0.0, 1.0]))[:, 1], (points[:, 3] - points[:, 2]) / 0.3, rtol=1e-4)
    each = torch.rand(3, 5)
    assert torch.allclose(path(each)[1], path(each[1])[1])


@pytest.mark.parametrize(
    ("points", "times", "message"),
    [
        (torch.zeros(1, 2), None, "points: expected at least 2 along dimension 0"),
        (torch.zeros(3, 2), [0.0, 1.0], "times: expected 3 increasing times"),
        (torch.zeros(2, 2), [0.1, 1.0], "times: expected 2 increasing times that begin with 0"),
        (torch.zeros(3, 2), [0.0, 1.0, 0.5], "t: expected strictly increasing"),
    ],
)
def test_polyline_refuses(points, times, message):
    with pytest.raises(ValueError, match=message):
        Polyline(points, times)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_of_a_path(tmp_path, dtype):
    path = Slerp(torch.randn(3, 2, 2, dtype=dtype), torch.randn(3, 2, 2, dtype=dtype), event_dim=2)
    times = torch.linspace(0, 1, 9)
    save_path(path, tmp_path / "paths.npz", times=times, method="slerp", seed=3)
    loaded, notes = load_path(tmp_path / "paths.npz")
    assert notes == {"method": "slerp", "seed": 3}
    assert loaded.points.dtype == dtype
    assert loaded.event_dim == 2
    assert torch.equal(loaded.points, path(times))
    save_path(loaded, tmp_path / "again.npz")
    assert torch.equal(load_path(tmp_path / "again.npz")[0].points, loaded.points)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "paths.npz"]


def test_round_trip_of_bridge_samples(tmp_path):
    t = torch.linspace(0, 1, 17)
    samples = GaussianProcessBridge(torch.randn(2, 5), torch.randn(2, 5)).sample(t, (4,))
    save_path(samples, tmp_path / "bridge.npz", times=t)
    loaded, _ = load_path(tmp_path / "bridge.npz")
    assert torch.equal(loaded.points, samples)
    assert loaded.batch_shape == (4, 2)


def test_files_that_are_not_paths(tmp_path):
    with pytest.raises(ValueError, match=r"file: expected a name that ends in .npz, got 'x.pt'"):
        save_path(torch.zeros(3, 2), tmp_path / "x.pt")
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_path(tmp_path / "none.npz")
    (tmp_path / "short.npz").write_bytes(b"PK\x03\x04 cut")
    np.savez(tmp_path / "other.npz", points=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", points=np.array([{}]), times=np.zeros(2), header=np.array("{}"))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps([1, 2]))
    for name in ("short", "other", "pickled", "pickle"):
        with pytest.raises(ValueError, match="file: expected a path written by save_path"):
            load_path(tmp_path / f"{name}.npz")


def test_arrays_and_notes(tmp_path):
    save_path(np.eye(2), tmp_path / "array.npz", seed=3)
    path, notes = load_path(tmp_path / "array.npz")
    assert torch.equal(path.points, torch.eye(2, dtype=torch.float64))
    assert notes == {"seed": 3}
    with pytest.raises(ValueError, match="notes: expected what JSON can hold"):
        save_path(np.eye(2), tmp_path / "bad.npz", start=torch.ones(2))
    header = np.array('{"format": "manifoldflow-path-1", "event_dim": 1}')
    np.savez(tmp_path / "bad.npz", points=np.eye(2), times=np.array([0.0, 1.0]), header=header)
    with pytest.raises(ValueError, match="file: expected a path written by save_path"):
        load_path(tmp_path / "bad.npz")
