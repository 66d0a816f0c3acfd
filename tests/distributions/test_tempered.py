"""A base at a temperature T has its density to the power 1 / T^2, up to a factor."""

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher, WrappedNormal, law_of
from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.manifolds import Hypersphere

MU = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)
BASES = [
    Gaussian(MU, torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)),
    Independent(Normal(MU, 1.5 + MU), 1),
    MultivariateNormal(MU, torch.eye(3, dtype=torch.float64) + 0.3),
    VonMisesFisher(MU, torch.tensor(4.0, dtype=torch.float64)),
    Dirichlet(1 + torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)),
    SphericalUniform(2, dtype=torch.float64),
]


@pytest.mark.parametrize("temperature", [0.5, 0.7, 1.0, 1.6])
@pytest.mark.parametrize("base", BASES, ids=lambda base: type(base).__name__)
def test_log_densities_are_divided_by_the_square(base, temperature):
    tempered = law_of(base).at(temperature)
    torch.manual_seed(0)
    x = base.sample((50,))
    ratio = tempered.log_prob(x) - base.log_prob(x) / temperature**2
    torch.testing.assert_close(ratio, ratio[:1].expand(50), atol=1e-9, rtol=0)
    assert type(tempered) is type(base)


def test_temperatures_without_a_distribution_are_refused():
    law = law_of(Dirichlet(torch.tensor([0.5, 2.0])))
    assert torch.allclose(law.at(0.8).concentration, torch.tensor([1 - 0.5 / 0.64, 1 + 1 / 0.64]))
    with pytest.raises(ValueError, match=r"temperature: expected more than 0\.7071, below .* no integral, got 0\.5"):
        law.at(0.5)
    wrapped = WrappedNormal(Hypersphere(2), torch.eye(3)[0], 0.5)
    assert law_of(wrapped).at(1.0) is wrapped
    with pytest.raises(ValueError, match=r"temperature: expected 1 for .*, whose powers are not known, got 0.7"):
        law_of(wrapped).at(0.7)
    for wrong in (0.0, -1.0, float("nan"), float("inf"), "warm", None):
        with pytest.raises(ValueError, match="temperature: expected a positive finite number, got"):
            law.at(wrong)


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
def test_cooler_samples_of_a_flow_are_more_probable_under_its_base(base):
    flow = build_flow(FlowDescription((1, 4, 4), base=base, levels=1, steps=2, hidden=8))
    flow.transform.initialise(torch.rand(128, 1, 4, 4))
    flow.requires_grad_(False)

    def typical(temperature):
        torch.manual_seed(1)
        return float(flow.base.log_prob(flow.encode(flow.sample((400,), temperature=temperature))).mean())

    torch.manual_seed(1)
    plain = flow.sample((5,))
    torch.manual_seed(1)
    assert torch.equal(flow.sample((5,), temperature=1.0), plain)
    cool, warm, hot = typical(0.5), typical(1.0), typical(1.5)
    assert cool > warm + 1
    assert warm > hot + 1
    with pytest.raises(ValueError, match="temperature: expected a positive finite number, got 0"):
        flow.sample((2,), temperature=0)
