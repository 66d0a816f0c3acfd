"""SphereFlow: exact volumes, inverses at the poles, mass one, any dimension, conditioning, learning."""

import math

import numpy as np
import pytest
import torch
from scipy.special import roots_gegenbauer
from scipy.stats import kstest
from torch.func import jacrev, vmap

import manifoldflow as mf
from manifoldflow.distributions import SphericalUniform, VonMisesFisher
from manifoldflow.evaluation import quadrature
from manifoldflow.flows import SphereFlow

DIMS = (1, 2, 3, 5, 9, 30)


def bent(dim, dtype=torch.float64, scale=0.4, seed=0, **options):
    """A flow far from the identity."""
    torch.manual_seed(seed)
    flow = SphereFlow(dim, transforms=2, bins=6, hidden=16, **options).to(dtype)
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(scale * torch.randn_like(p) / p.shape[-1] ** 0.5)
    return flow


def points(count, dim, dtype=torch.float64):
    """Random ones, every pole, and points next to the poles."""
    torch.manual_seed(1)
    poles = torch.eye(dim + 1, dtype=dtype)[: min(dim + 1, 6)]
    near = torch.nn.functional.normalize(poles + 1e-5 * torch.randn_like(poles), dim=-1)
    x = torch.nn.functional.normalize(torch.randn(count, dim + 1, dtype=dtype), dim=-1)
    return torch.cat([x, poles, -poles, near, -near])


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_round_trips_at_the_poles_too(dim, dtype, bound):
    flow, x = bent(dim, dtype), points(200, dim, dtype)
    with torch.no_grad():
        s, ladj = flow.encode_and_ladj(x)
        assert s.dtype == ladj.dtype == dtype
        assert (s - x).abs().max() > 0.05
        assert (s.norm(dim=-1) - 1).abs().max() < 10 * torch.finfo(dtype).eps
        assert ladj.isfinite().all()
        assert (flow.decode(s) - x).abs().max() < bound
        assert (flow.encode(flow.decode(x)) - x).abs().max() < bound


@pytest.mark.parametrize(("dim", "transforms"), [(1, 2), (2, 3), (3, 4), (12, 3)])
def test_untrained_it_is_the_identity(dim, transforms):
    flow, x = SphereFlow(dim, transforms=transforms), points(20, dim, torch.float32)
    s, ladj = flow.encode_and_ladj(x)
    torch.testing.assert_close(s, x, atol=1e-6, rtol=0)
    assert ladj.abs().max() < 1e-5


def test_float32_points_come_back_from_where_densities_are_low():
    flow, x = bent(2, torch.float32, scale=1.5), points(4000, 2, torch.float32)
    with torch.no_grad():
        assert flow.log_prob(x).min() < -8
        assert (flow.decode(flow.encode(x)) - x).abs().max() < 1e-4


@pytest.mark.parametrize("dim", DIMS)
def test_log_volume_is_that_of_the_jacobian(dim):
    flow, x = bent(dim), points(6, dim)[:6]
    whole = torch.stack([jacrev(lambda y: flow.encode_and_ladj(y / y.norm())[0])(row) for row in x])
    singular = torch.linalg.svdvals(whole)  # the radius is lost: one of them is 0
    torch.testing.assert_close(singular[:, :-1].log().sum(-1), flow.encode_and_ladj(x)[1])


def three_sphere(order):
    """Points and weights of S^3: Gegenbauer's rule along the axis, and that of S^2 around it."""
    z, along = (torch.from_numpy(v) for v in roots_gegenbauer(order, 1.0))
    y, around = quadrature(mf.Hypersphere(2), order)
    x = torch.cat([(1 - z * z).sqrt()[:, None, None] * y, z[:, None, None].expand(-1, len(y), 1)], -1)
    return x.reshape(-1, 4), (along[:, None] * around).reshape(-1)


@pytest.mark.parametrize(("dim", "order"), [(1, 1000), (2, 200), (3, 40)])
def test_mass_is_one(dim, order):
    nodes, weights = three_sphere(order) if dim == 3 else quadrature(mf.Hypersphere(dim), order)
    flow = bent(dim, scale=0.25)
    with torch.no_grad():
        assert float(weights @ flow.log_prob(nodes).exp()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("dim", [8, 9])
def test_mass_is_one_by_importance_sampling(dim):
    flow, uniform = bent(dim, scale=0.25), SphericalUniform(dim, dtype=torch.float64)
    torch.manual_seed(2)
    with torch.no_grad():
        x = uniform.sample((40_000,))
        ratio = (flow.log_prob(x) - uniform.log_prob(x)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / 200)


@pytest.mark.parametrize("dim", [2, 3, 12])
def test_density_is_continuous_at_the_poles(dim):
    flow = bent(dim)
    for pole in torch.cat([torch.eye(dim + 1), -torch.eye(dim + 1)]).double():
        ring = torch.nn.functional.normalize(pole + 1e-7 * torch.randn(40, dim + 1, dtype=torch.float64), dim=-1)
        with torch.no_grad():
            assert (flow.log_prob(ring) - flow.log_prob(pole)).abs().max() < 1e-4


@pytest.mark.parametrize("dim", [1, 2, 12])
def test_context_batches_and_gradients(dim):
    flow = bent(dim, context_dim=3)
    x, context = points(4, dim)[:4], torch.randn(4, 3, dtype=torch.float64)
    rows = torch.stack([flow.log_prob(a, c) for a, c in zip(x, context)])
    torch.testing.assert_close(flow.log_prob(x, context), rows)
    torch.testing.assert_close(flow.log_prob(x[:, None], context)[1, 3], flow.log_prob(x[1], context[3]))
    assert (flow.log_prob(x, context) - flow.log_prob(x, context.flip(0))).abs().max() > 1e-3
    assert flow.log_prob(x[:0], context[:0]).shape == (0,)
    torch.testing.assert_close(vmap(flow.log_prob)(x, context), rows)
    law = flow.distribution(context)
    assert law.rsample((5,)).shape == (5, 4, dim + 1)
    poles = torch.eye(dim + 1, dtype=torch.float64)[:2].requires_grad_()
    loss = flow.log_prob(poles, context[:2]).sum() + law.rsample().sum()
    grads = torch.autograd.grad(loss, [poles, *flow.parameters()], allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in grads)


def test_gradients_are_those_of_differences():
    flow = bent(2, scale=0.2)
    x = points(3, 2)[:3].requires_grad_()
    assert torch.autograd.gradcheck(lambda y: flow.log_prob(y / y.norm(dim=-1, keepdim=True)), x)
    s = flow.encode(x).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: flow.decode(y / y.norm(dim=-1, keepdim=True)), s)


def test_learns_how_two_halves_share_the_norm():
    """A law of the angle between the halves with two modes, which no conformal or projective map has."""
    torch.manual_seed(0)
    halves = torch.distributions.Beta(torch.tensor([20.0, 5.0]), torch.tensor([5.0, 20.0]))

    def draw(count):
        s = halves.sample((count,))[torch.arange(count), torch.randint(2, (count,))]
        u, v = (SphericalUniform(4).sample((count,)) for _ in range(2))
        return torch.cat([(1 - s).sqrt()[:, None] * u, s.sqrt()[:, None] * v], -1)

    def log_density(x):
        s = x[:, 5:].square().sum(-1)
        uniform = torch.distributions.Beta(2.5, 2.5).log_prob(s)
        return halves.log_prob(s[:, None]).logsumexp(-1) - math.log(2) - uniform + SphericalUniform(9).log_prob(x)

    flow = SphereFlow(9, transforms=1, hidden=16)
    optimizer = torch.optim.Adam(flow.parameters(), 2e-2)
    for _ in range(120):
        loss = -flow.log_prob(draw(256)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = draw(4000)
    with torch.no_grad():
        assert -0.01 < (log_density(x) - flow.log_prob(x)).mean() < 0.1


def test_unit_embeddings_train_in_one_second_a_step():
    torch.manual_seed(0)
    x = VonMisesFisher(torch.eye(768)[0], 300.0).sample((128,))
    flow = SphereFlow(767, transforms=1, hidden=32)
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = -flow.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert math.isfinite(losses[-1])
    assert losses[-1] < losses[0] - 5


@pytest.mark.slow
def test_learns_a_mixture_and_sends_it_to_the_base():
    torch.manual_seed(0)
    modes = torch.nn.functional.normalize(torch.tensor([[1.0, 1, 0, 0, 0, 0], [0, 0, -1, 0, 1, 0]]), dim=-1)
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor([0.4, 0.6])), VonMisesFisher(modes, torch.tensor([8.0, 4.0]))
    )
    flow = SphereFlow(5)
    optimizer = torch.optim.Adam(flow.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        loss = -flow.log_prob(law.sample((512,))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    held_out = law.sample((4000,))
    with torch.no_grad():
        gap = (law.log_prob(held_out) - flow.log_prob(held_out)).mean()
        s = flow.encode(held_out[:500])
    assert gap < 0.03
    # Each coordinate of a uniform point of S^5 has the law of density (1 - z^2)^(3/2).
    cdf = torch.distributions.Beta(2.5, 2.5)
    grid = np.linspace(0, 1, 20_001)
    mass = np.cumsum(np.exp(cdf.log_prob(torch.tensor(grid[1:-1])).numpy())) * (grid[1] - grid[0])
    for j in range(6):
        shares = np.interp((s[:, j].numpy() + 1) / 2, grid[1:-1], mass)
        assert kstest(shares, "uniform").pvalue > 1e-4


def test_wrong_input_is_refused():
    flow = SphereFlow(2, transforms=1)
    assert flow.log_prob(torch.eye(3)).shape == (3,)
    with pytest.raises(ValueError, match="x: expected"):
        flow.log_prob(torch.eye(4))
    with pytest.raises(ValueError, match="dim: expected"):
        SphereFlow(0)
    with pytest.raises(ValueError, match="bins: expected"):
        SphereFlow(2, bins=1)
    with pytest.raises(ValueError, match="context: expected None"):
        flow.log_prob(torch.eye(3), torch.zeros(3, 1))
