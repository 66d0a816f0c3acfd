"""Optimised paths for a trained flow: they are typical of the base, and shorter than what is as typical."""

import pytest
import torch

from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.jobs import JobPaths
from manifoldflow.jobs.row_paths import OPTIMISED, RealismCurves
from manifoldflow.realism import typicality
from manifoldflow.steps import interpolate_step
from manifoldflow.steps.stored import read_interpolations


@pytest.mark.parametrize("name", ["gaussian", "vmf", "dirichlet"])
def test_paths_stay_typical_and_cost_less_than_matched_ones(name):
    flow = build_flow(FlowDescription((1, 4, 4), base=name, levels=1, steps=1, hidden=4))
    start, end = flow.base.sample((2, 4))
    before = torch.random.get_rng_state()
    points, matched = (
        JobPaths(flow, method=method, steps=7, seed=1)(torch.arange(4), start, end)["points"]
        for method in ("typical-curve", "matched")
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert points.shape == (4, 7, start.shape[-1])
    torch.testing.assert_close(points[:, [0, -1]], torch.stack([start, end], 1))
    assert bool(flow.manifold.belongs(points, atol=1e-5).all())
    assert typicality(flow.base, points)[:, 1:-1].mean() > typicality(flow.base, matched)[:, 1:-1].mean()
    energy = RealismCurves(flow, flow.base, **OPTIMISED).energy
    assert (energy.length(points) < energy.length(matched)).all()


def test_a_trained_flow_takes_the_method(demo, tmp_path):
    interpolate_step(demo[0] / "models" / "gaussian", tmp_path / "paths", methods=["typical-curve"], pairs=3, steps=5)
    _, record, (stored,) = read_interpolations(tmp_path / "paths")
    assert record["settings"]["methods"] == ["typical-curve"]
    found = stored.load()
    assert found.images.shape == (3, 5, 1, 8, 8)
    assert found.points.isfinite().all()
