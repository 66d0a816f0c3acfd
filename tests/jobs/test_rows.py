"""Blocks of rows: the library's own paths and figures, noise by row, and failures that stay in their row."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from manifoldflow.data import bits_per_dim, dequantise, hashed_uniform
from manifoldflow.errors import DataError
from manifoldflow.evaluation import Extractor
from manifoldflow.interpolation import CurveEnergy, interpolate, methods_for
from manifoldflow.jobs import PathValues
from manifoldflow.jobs.row_paths import row_seed
from manifoldflow.realism import log_density_z, typicality

from .conftest import LEVELS

ROWS = torch.arange(12)


def solve(solver, model, rows=ROWS, chunk=12):
    """Arrays of rows solved `chunk` at a time."""
    parts = [solver(part, model.start[part].numpy(), model.end[part].numpy()) for part in rows.split(chunk)]
    assert not any(reason for part in parts for reason in part.reasons)
    return {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}


def test_paths_are_the_library_s_own(vmf):
    found = solve(vmf.solver("geodesic"), vmf)
    points = interpolate(vmf.start[:12], vmf.end[:12], method="geodesic", base=vmf.flow.base, steps=5)
    np.testing.assert_array_equal(found["points"], points.numpy())
    images = vmf.flow.decode(points.flatten(0, 1)).view(12, 5, 1, 4, 4)
    np.testing.assert_array_equal(found["images"], (images * LEVELS).floor().clamp(0, LEVELS - 1).numpy())


def test_a_float64_flow_has_float64_points(vmf):
    solver = vmf.solver("matched")
    double = type(vmf)(vmf.folder, deepcopy(vmf.flow).double(), vmf.start.double(), vmf.end.double())
    double.start, double.end = (v / v.norm(dim=-1, keepdim=True) for v in (double.start, double.end))
    found = solve(double.solver("matched"), double)
    assert found["points"].dtype == np.float64
    assert abs(np.linalg.norm(found["points"], axis=-1) - 1).max() < 1e-14
    np.testing.assert_allclose(found["points"], solve(solver, vmf)["points"], atol=1e-5)


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
def test_every_method_gives_the_same_rows_in_any_chunks(models, base):
    model = models[base]
    for method in methods_for(model.flow.base):
        solver = model.solver(method)
        together = solve(solver, model)
        for chunk in (1, 5):
            apart = solve(solver, model, chunk=chunk)
            np.testing.assert_allclose(apart["points"], together["points"], rtol=1e-5, atol=1e-6, err_msg=method)
            if solver.paths.random:  # each row is drawn for itself
                np.testing.assert_array_equal(apart["points"], together["points"])
        np.testing.assert_allclose(together["points"][:, 0], model.start[:12], rtol=1e-5, atol=1e-6)


def test_noise_is_a_function_of_seed_and_row(models):
    model = models["gaussian"]
    one, same, other = (solve(model.solver("bridge", seed=seed), model)["points"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one[:, 2] != other[:, 2]).all()
    last = solve(model.solver("bridge"), model, rows=ROWS[7:])["points"]
    np.testing.assert_array_equal(last, one[7:])
    still = model.start[:1].expand(12, -1)
    drawn = model.solver("bridge")(ROWS, still.numpy(), still.numpy()).arrays["points"][:, 2]
    assert len(np.unique(drawn, axis=0)) == 12


def test_row_seeds_differ_between_rows_and_fit_32_bits():
    for seed in (0, 1, 2**62):
        seeds = {row_seed(seed, row) for row in range(20_000)}
        assert len(seeds) == 20_000
        assert max(seeds) < 2**32
    assert row_seed(0, 5) != row_seed(1, 5)


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
def test_values_are_those_of_the_public_functions(models, base):
    model = models[base]
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).requires_grad_(False)
    figures = PathValues(model.flow, levels=LEVELS, extractor=Extractor("linear", network, 3))
    found = solve(model.solver("matched", values=figures), model)
    points = torch.from_numpy(found["points"])
    decoded = model.flow.decode(points.flatten(0, 1))
    bpd = bits_per_dim(model.flow.log_prob(decoded).view(12, 5), 16, LEVELS)
    np.testing.assert_allclose(found["bpd"], bpd, rtol=1e-5, atol=1e-5)
    shown = torch.from_numpy(found["images"]).float() / (LEVELS - 1)
    steps = (shown[:, 1:] - shown[:, :-1]).flatten(2).square().sum(-1).sqrt()
    np.testing.assert_allclose(found["pixel_length"], steps.sum(1), rtol=1e-5)
    features = network(shown.flatten(0, 1)).view(12, 5, 3)
    np.testing.assert_allclose(found["features"], features, rtol=1e-5, atol=1e-6)
    moved = (features[:, 1:] - features[:, :-1]).square().sum(-1).sqrt().sum(1)
    np.testing.assert_allclose(found["feature_length"], moved, rtol=1e-5)
    # The law of a Dirichlet's log-density is sampled: two samples of 10,000 differ by about 0.01 in F.
    atol = 0.05 if base == "dirichlet" else 1e-5
    np.testing.assert_allclose(found["typicality"], typicality(model.flow.base, points), atol=atol)
    np.testing.assert_allclose(found["z_score"], log_density_z(model.flow.base, points), rtol=1e-4, atol=1e-4)


def test_failing_rows_are_named_and_the_others_finish(vmf, values):
    solver = vmf.solver("geodesic", values=values)
    start, end = vmf.start[:6].clone(), vmf.end[:6].clone()
    start[1, 0] = torch.nan
    end[2] = -start[2]  # antipodes have no unique geodesic
    start[3] *= 2  # off the sphere
    start[4] = torch.tensor([0.0] * 16 + [1.0])  # the north pole is no image's point
    result = solver(ROWS[:6], start.numpy(), end.numpy())
    assert [bool(reason) for reason in result.reasons] == [False, True, True, True, True, False]
    for row, reason in {1: "finite", 2: "antipod", 3: "Hypersphere", 4: "the decoded path is not finite"}.items():
        assert reason in result.reasons[row]
        assert "\n" not in result.reasons[row]
    good = solve(solver, vmf, rows=ROWS[:6])
    for name, array in result.arrays.items():
        np.testing.assert_allclose(array[[0, 5]], good[name][[0, 5]], rtol=1e-4, atol=1e-4, err_msg=name)
        if array.dtype.kind == "f":
            assert np.isnan(array[1:5]).all(), name


def test_a_block_without_a_good_row_keeps_its_shapes(vmf, values):
    solver = vmf.solver("matched", values=values)
    nothing = np.full((4, 17), np.nan, np.float32)
    result = solver(ROWS[:4], nothing, nothing)
    assert all(result.reasons)
    assert {name: array.shape[1:] for name, array in result.arrays.items()} == {
        name: field.shape for name, field in solver.fields.items()
    }


def test_images_are_encoded_with_noise_by_row(vmf):
    images = torch.randint(LEVELS, (2, 12, 1, 4, 4), dtype=torch.uint8)
    found = vmf.solver("geodesic")(ROWS, *images.numpy())
    for which, column in ((0, 0), (1, -1)):
        noise = hashed_uniform(ROWS, 16, seed=3, epoch=which).view(12, 1, 4, 4)
        points = vmf.flow.encode(dequantise(images[which], LEVELS, noise))
        np.testing.assert_allclose(found.arrays["points"][:, column], points, atol=1e-5)
        np.testing.assert_array_equal(found.arrays["images"][:, column], images[which])
    images[0, 5, 0, 0, 0] = 200
    result = vmf.solver("geodesic")(ROWS, *images.numpy())
    assert [row for row, reason in enumerate(result.reasons) if reason] == [5]
    assert "values below 17, got 200" in result.reasons[5]


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
@pytest.mark.parametrize("choice", [("density", "images"), ("typical", "manifold")])
def test_optimised_paths_cost_less_than_their_start(models, base, choice):
    model = models[base]
    options = {"index": choice[0], "measure": choice[1], "segments": 8, "max_iterations": 15}
    solver = model.solver("typical-curve", options=options)
    found = solve(solver, model, rows=ROWS[:3])
    assert found["status"].dtype == np.int64
    np.testing.assert_allclose(found["realism"], np.exp(-found["length"]), rtol=1e-5)
    began = solve(model.solver("matched", steps=9), model, rows=ROWS[:3])["points"]
    energy = solver.paths._curves.energy
    assert (found["energy"] < 0.99 * energy(torch.from_numpy(began)).numpy()).all()
    np.testing.assert_allclose(found["points"][:, [0, -1]], began[:, [0, -1]], atol=1e-6)
    apart = solve(solver, model, rows=ROWS[:3], chunk=1)
    np.testing.assert_allclose(apart["energy"], found["energy"], rtol=1e-2)


def test_an_interrupted_solver_gives_no_result(vmf, monkeypatch):
    solver = vmf.solver("typical-curve", options={"segments": 8})
    segments, left = CurveEnergy.inner_segments, [5]

    def interrupted(self, nodes):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return segments(self, nodes)

    monkeypatch.setattr(CurveEnergy, "inner_segments", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solver(ROWS[:3], vmf.start[:3].numpy(), vmf.end[:3].numpy())
    assert left[0] < 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "bridge"}, "method: expected one of .*, typical-curve for this base, got 'bridge'"),
        ({"method": "geodesic", "steps": 1}, "steps: expected at least 2, got 1"),
        ({"method": "geodesic", "options": {"speed": 2}}, "option: the method geodesic does not take"),
        ({"method": "typical-bridge", "options": {"spread": 7}}, r"spread: expected an angle"),
        ({"method": "typical-curve", "options": {"index": "best"}}, "index: expected 'density' or 'typical'"),
        ({"method": "typical-curve", "options": {"measure": "feet"}}, "measure: expected 'manifold' or 'images'"),
        ({"method": "typical-curve", "options": {"segments": 1}}, "segments, coarse: expected at least 2 segments"),
        ({"method": "typical-curve", "options": {"eps": 2}}, r"eps: expected a finite number >= 0 and <= 0.5"),
        ({"method": "typical-curve", "options": {"steps": 2}}, "option: the method typical-curve does not take"),
    ],
)
def test_wrong_settings_are_refused_before_any_row(vmf, settings, message):
    with pytest.raises(DataError, match=message):
        vmf.solver(**settings)
