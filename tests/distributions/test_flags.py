"""What laws say of themselves is so: whether draws have gradients, and how many dimensions a point has."""

import pytest
import torch

from manifoldflow.distributions import (
    AngularCentralGaussian,
    Bingham,
    Dirichlet,
    Ensemble,
    FisherBingham,
    Gaussian,
    InChart,
    Kent,
    KernelDensity,
    PowerSpherical,
    VonMises,
    VonMisesFisher,
    VonMisesFisherAngle,
    Watson,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean
from manifoldflow.realism import semicircle

NORTH = torch.tensor([0.0, 0.0, 1.0])
TWO = torch.tensor(2.0)
# laws of a parameter that requires gradients, and whether their draws depend on it smoothly
SMOOTH = [
    lambda a: VonMisesFisher(NORTH, a),
    lambda a: VonMisesFisherAngle(a, 3),
    lambda a: PowerSpherical(NORTH, a),
    lambda a: AngularCentralGaussian(a * torch.eye(3) + torch.diag(NORTH)),
    lambda a: WrappedNormal(Euclidean(3), torch.zeros(3), a),
    lambda a: VonMises(torch.zeros(2), a.expand(2)),
    lambda a: Dirichlet(a.expand(3)),
    lambda a: Gaussian(torch.zeros(3), a.expand(3)),
    lambda a: InChart(Dirichlet(a.expand(4))),
]
ROUGH = [
    lambda a: Watson(NORTH, a),
    lambda a: Bingham(a * torch.diag(NORTH)),
    lambda a: FisherBingham(a * NORTH, torch.diag(NORTH)),
    lambda a: Kent(torch.eye(3), a, a / 4),
    lambda a: KernelDensity(torch.eye(3), a.detach() / 10),
    lambda a: Ensemble([VonMisesFisher(NORTH, a), VonMisesFisher(-NORTH, a)], torch.ones(2)),
    lambda a: semicircle(3),
]


@pytest.mark.parametrize("make", SMOOTH)
def test_draws_with_gradients(make):
    a = TWO.clone().requires_grad_()
    law = make(a)
    assert law.has_rsample
    draw = law.rsample((4,))
    assert draw.requires_grad
    (slope,) = torch.autograd.grad((draw * torch.rand_like(draw)).sum(), a)
    assert slope.isfinite()
    assert not law.sample((4,)).requires_grad
    assert draw.shape == (4, *law.event_shape)
    assert law.support.event_dim == len(law.event_shape)


@pytest.mark.parametrize("make", ROUGH)
def test_draws_without(make):
    law = make(TWO.clone().requires_grad_())
    assert not law.has_rsample
    assert not law.sample((4,)).requires_grad
    with pytest.raises(NotImplementedError):
        law.rsample((4,))
    assert law.support.event_dim == len(law.event_shape) == 1
