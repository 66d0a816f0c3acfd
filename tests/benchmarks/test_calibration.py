"""Simulation-based calibration: its ranks tell a right posterior from a wrong one; the kernel's are uniform."""

import pyro
import pytest
import torch

from benchmarks.calibration import NAMES, calibrate, ranks, uniformity
from manifoldflow.distributions import VonMisesFisher
from manifoldflow.inference import GeodesicNUTS

NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def conjugate_ranks(excess):
    """Ranks of a direction's coordinates where the posterior is von Mises-Fisher, its resultant times `excess`."""
    pyro.set_rng_seed(0)
    prior = VonMisesFisher(NORTH, 2.0)
    truth = prior.sample((400,))
    data = VonMisesFisher(truth, 3.0).sample((6,))
    resultant = 2.0 * NORTH + 3.0 * data.sum(0)
    length = resultant.norm(dim=-1)
    return ranks(truth, VonMisesFisher(resultant / length.unsqueeze(-1), excess * length).sample((49,)))


def test_ranks_of_the_exact_posterior_are_uniform_and_those_of_narrower_ones_are_not():
    assert min(uniformity(conjugate_ranks(1.0), 49)) > 0.01
    assert max(uniformity(conjugate_ranks(2.0), 49)) < 1e-3


def test_ranks_and_bins():
    draws = torch.arange(9.0).unsqueeze(-1)
    found = ranks(torch.tensor([4.5]), draws)
    assert found.tolist() == [5]
    assert uniformity(torch.arange(10).unsqueeze(-1), 9) == pytest.approx([1.0])
    with pytest.raises(ValueError, match="draws: expected one less than a multiple of 10"):
        uniformity(found.unsqueeze(-1), 10)


@pytest.mark.slow
def test_the_geodesic_kernel_is_calibrated():
    found = uniformity(calibrate(GeodesicNUTS, 200, 50, 49), 49)
    assert len(found) == len(NAMES)
    assert min(found) > 0.01, dict(zip(NAMES, found))
