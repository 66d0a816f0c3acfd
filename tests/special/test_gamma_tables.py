"""The tabulated Gamma law against SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats

from manifoldflow.special import gamma_tables
from manifoldflow.special.gamma_tables import GammaToNormal

SHAPES = [0.01, 0.3, 1.0, 2.0, 17.0, 1570.0, 1e4]


@pytest.mark.parametrize(("a", "atol"), [(a, 1e-7 if a < 1 else 2e-9) for a in SHAPES])
def test_both_ways_against_scipy(a, atol):
    table = GammaToNormal(torch.tensor([a]))
    z = torch.linspace(-5, 5, 801, dtype=torch.float64)[:, None]
    log_x = table.log_gamma(z)
    a = float(torch.tensor([a]).double())  # as rounded to float32
    x = log_x.exp().numpy()
    seen = x[:, 0] > 1e-290  # SciPy's quantiles underflow with the variable
    lower = stats.norm.ppf(stats.gamma.cdf(x, a)), -stats.norm.ppf(stats.gamma.sf(x, a))
    found = np.where(z.numpy() < 0, *lower)
    assert np.abs(found - z.numpy())[seen].max() < atol
    assert (table.normal(log_x) - z).abs().max() < atol


def test_far_tails_are_clamped_and_stay_finite():
    table = GammaToNormal(torch.tensor(SHAPES))
    extreme = torch.tensor([-1e6, 1e6]).double()[:, None].expand(2, len(SHAPES))
    assert torch.equal(table.normal(extreme).abs(), torch.full((2, len(SHAPES)), 10.0).double())
    assert table.log_gamma(extreme).isfinite().all()


def test_every_coordinate_has_its_own_shape():
    shapes = torch.tensor([2.0, 0.5, 2.0, 7.0])
    z = torch.randn(3, 5, 4, dtype=torch.float64)
    together = GammaToNormal(shapes).log_gamma(z)
    for k in range(4):
        assert torch.equal(together[..., k : k + 1], GammaToNormal(shapes[k : k + 1]).log_gamma(z[..., k : k + 1]))


def test_slopes():
    table = GammaToNormal(torch.tensor([0.7, 30.0]))
    z = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(table.log_gamma, z)
    assert torch.autograd.gradcheck(table.normal, table.log_gamma(z).detach().requires_grad_())


def test_the_store_of_tables_is_bounded(monkeypatch):
    monkeypatch.setattr(gamma_tables, "_MOST_KEPT", 3)
    for low in (1.0, 3.0, 5.0):
        GammaToNormal(torch.tensor([low, low + 1]))
        assert len(gamma_tables._kept) <= 3
