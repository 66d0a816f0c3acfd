"""zuko's transforms serve as the transform of a ManifoldFlow."""

import pytest
import torch
import zuko

from manifoldflow.flows import ManifoldFlow, ZukoTransform, make_base


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
def test_flow_of_vectors(base):
    chart, distribution, _ = make_base(base, 3)
    flow = ManifoldFlow(ZukoTransform(zuko.flows.NSF(3, transforms=2, hidden_features=(16,))), chart, distribution)
    x = torch.randn(20, 3)
    torch.testing.assert_close(flow.decode(flow.encode(x)), x, atol=1e-3, rtol=1e-3)
    flow.log_prob(x).sum().backward()
    assert all(p.grad.isfinite().all() for p in flow.parameters())


def test_gaussian_base_gives_zukos_own_density():
    theirs = zuko.flows.NSF(3, transforms=2, hidden_features=(16,))
    chart, distribution, _ = make_base("gaussian", 3)
    x = torch.randn(20, 3)
    ours = ManifoldFlow(ZukoTransform(theirs), chart, distribution)
    torch.testing.assert_close(ours.log_prob(x), theirs().log_prob(x), atol=1e-5, rtol=1e-5)


def test_wrapping_leaves_torchs_validation_as_it_was():
    torch.distributions.Distribution.set_default_validate_args(True)
    ZukoTransform(zuko.flows.NSF(2, transforms=1, hidden_features=(4,)))
    with pytest.raises(ValueError, match="scale"):
        torch.distributions.Normal(0.0, -1.0)


def test_anything_else_is_refused():
    with pytest.raises(ValueError, match="expected a zuko Flow or LazyTransform, got Linear"):
        ZukoTransform(torch.nn.Linear(2, 2))
