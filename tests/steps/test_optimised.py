"""Optimised paths for a trained flow: they are typical of the base, and shorter than what is as typical."""

import pytest
import torch

from manifoldflow.flows import make_base
from manifoldflow.interpolation import Matched, Status, optimised
from manifoldflow.realism import typicality
from manifoldflow.steps import interpolate_step
from manifoldflow.steps.interpolate import read_interpolations
from manifoldflow.steps.optimised import optimised_points, typicality_energy


@pytest.mark.parametrize("name", ["gaussian", "vmf", "dirichlet"])
def test_paths_stay_typical_and_cost_less_than_matched_ones(name):
    torch.manual_seed(0)
    _, base, _ = make_base(name, 12, None)
    start, end = base.sample((2, 4))
    energy = typicality_energy(base, seed=0)
    before = torch.random.get_rng_state()
    points = optimised_points(energy, base, start, end, steps=7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert points.shape == (4, 7, start.shape[-1])
    torch.testing.assert_close(points[:, [0, -1]], torch.stack([start, end], 1))
    assert bool(base.manifold.belongs(points, atol=1e-5).all())
    matched = Matched(base, start, end, generator=torch.Generator().manual_seed(1))(torch.linspace(0, 1, 7))
    assert typicality(base, points)[:, 1:-1].mean() > typicality(base, matched)[:, 1:-1].mean()
    assert (energy.length(points) < energy.length(matched)).all()


def test_a_trained_flow_takes_the_method(demo, tmp_path):
    interpolate_step(demo[0] / "models" / "gaussian", tmp_path / "paths", methods=["optimised"], pairs=3, steps=5)
    _, record, (stored,) = read_interpolations(tmp_path / "paths")
    assert record["settings"]["methods"] == ["optimised"]
    found = stored.load()
    assert found.images.shape == (3, 5, 1, 8, 8)
    assert found.points.isfinite().all()


def test_an_interrupt_is_passed_on(monkeypatch):
    """The solver keeps what is done; a command that writes whole files must not go on with it."""
    _, base, _ = make_base("gaussian", 4, None)
    energy = typicality_energy(base, seed=0)

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(optimised.SobolevDescent, "minimise", interrupted)
    start, end = base.sample((2, 2))
    assert (optimised.optimise(energy, start, end).solution.status == Status.INTERRUPTED).all()
    with pytest.raises(KeyboardInterrupt, match="nothing was written"):
        optimised_points(energy, base, start, end, steps=3, generator=None)
