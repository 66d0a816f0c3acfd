"""Flows of other libraries serve as the transform of a ManifoldFlow, in a few lines where there is no adapter."""

import pytest
import torch
import zuko
from torch.distributions import constraints

import manifoldflow as mf
from manifoldflow.flows import FlowTransform, ZukoTransform, make_base


class NormflowsTransform(FlowTransform):
    """x -> z of a normflows model, which runs from z to x."""

    domain = codomain = constraints.independent(constraints.real, 1)

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def call_and_ladj(self, x):
        z, ladj = self.flow.inverse_and_log_det(x.flatten(0, -2))
        return z.view_as(x), ladj.view(x.shape[:-1])

    def _inverse(self, z):
        return self.flow.forward(z.flatten(0, -2)).view_as(z)


def from_normflows(d):
    nf = pytest.importorskip("normflows")
    masks = [torch.arange(d) % 2, (torch.arange(d) + 1) % 2]
    layers = [
        nf.flows.MaskedAffineFlow(masks[i % 2].float(), *(nf.nets.MLP([d, 16, d], init_zeros=False) for _ in range(2)))
        for i in range(4)
    ]
    return NormflowsTransform(nf.NormalizingFlow(nf.distributions.DiagGaussian(d), layers))


def from_zuko(d):
    return ZukoTransform(zuko.flows.MAF(d, transforms=2, hidden_features=(16,)))


@pytest.mark.parametrize("base", ["gaussian", "vmf", "dirichlet"])
@pytest.mark.parametrize("make", [from_zuko, from_normflows])
def test_transform_of_another_library(make, base):
    d = 4
    chart, law, _ = make_base(base, d)
    flow = mf.ManifoldFlow(make(d), chart, law).double()
    x = torch.randn(6, d, dtype=torch.float64)
    torch.testing.assert_close(flow.decode(flow.encode(x)), x, atol=1e-8, rtol=1e-8)

    # The density against autodiff of the transform, the chart's own volume and the base's density.
    z = flow.transform(x)
    one = [torch.autograd.functional.jacobian(lambda r: flow.transform(r[None])[0], row) for row in x]
    jacobian = torch.stack(one)
    wanted = flow.base.log_prob(flow.chart(z)) + flow.chart.log_volume(z) + torch.linalg.slogdet(jacobian).logabsdet
    # normflows adds up log-determinants in torch's default dtype.
    torch.testing.assert_close(flow.log_prob(x), wanted, atol=1e-5, rtol=1e-6)

    start, end = flow.encode(x).detach()[:2]
    images = mf.interpolate(start, end, method="matched", base=flow.base, decode=flow.decode, steps=5)
    torch.testing.assert_close(images[[0, -1]], x[:2], atol=1e-6, rtol=1e-6)
