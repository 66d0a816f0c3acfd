"""Flows of vectors, compositions and products: exact volumes, mass one, conditioning, calibrated posteriors."""

import math

import pytest
import torch
from torch.func import jacrev

from manifoldflow.distributions import SphericalUniform, VonMisesFisher
from manifoldflow.evaluation import quadrature
from manifoldflow.flows import EuclideanFlow, ProductFlow, SimplexFlow, SphereFlow, flow_on
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

PRODUCTS = {
    "direction and phase": [Hypersphere(2), Torus(1)],
    "direction and number": [Hypersphere(2), Euclidean(1)],
    "angles and composition": [Torus(2), Simplex(2)],
    "one factor": [Hypersphere(2)],
}


def bent(flow, scale=0.3, seed=0):
    """The flow in float64, far from the identity."""
    torch.manual_seed(seed)
    flow = flow.double()
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(scale * torch.randn_like(p) / p.shape[-1] ** 0.5)
    return flow


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_vectors_go_there_and_back(dim):
    flow = bent(EuclideanFlow(dim, hidden=16), 0.2)
    x = torch.cat([4 * torch.randn(50, dim), torch.full((1, dim), 5.0), torch.full((1, dim), -40.0)]).double()
    s, ladj = flow.encode_and_ladj(x)
    torch.testing.assert_close(flow.decode(s), x)
    for row, change in zip(x[:4], ladj):
        jacobian = jacrev(lambda y: flow.encode_and_ladj(y)[0])(row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, change)


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_compositions_go_there_and_back(dim):
    flow = bent(SimplexFlow(dim, hidden=16))
    x = torch.distributions.Dirichlet(torch.full((dim + 1,), 0.7, dtype=torch.float64)).sample((50,))
    s, ladj = flow.encode_and_ladj(x)
    assert (s - x).abs().max() > 0.05
    torch.testing.assert_close(flow.decode(s), x)
    for row, change in zip(x[:4], ladj):  # with respect to the first d parts
        free = jacrev(lambda y: flow.encode_and_ladj(torch.cat([y, 1 - y.sum(-1, keepdim=True)]))[0][:dim])(row[:dim])
        torch.testing.assert_close(torch.linalg.slogdet(free).logabsdet, change)


def test_mass_on_the_triangle_is_one():
    nodes, weights = quadrature(Simplex(2), 300)
    flow = bent(SimplexFlow(2, hidden=16), 0.1)
    with torch.no_grad():
        assert float(weights @ flow.log_prob(nodes).exp()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_go_there_and_back(name):
    space = Product(PRODUCTS[name])
    flow = bent(ProductFlow(space, transforms=2, bins=6, hidden=16, context_dim=2))
    x, context = flow.base.sample((40,)).double(), torch.randn(40, 2, dtype=torch.float64)
    with torch.no_grad():
        s, ladj = flow.encode_and_ladj(x, context)
        assert (s - x).abs().max() > 0.05
        assert space.belongs(s).all()
        torch.testing.assert_close(flow.decode(s, context), x)
        torch.testing.assert_close(flow.log_prob(x, context), flow.base.log_prob(s) + ladj)
        assert (flow.log_prob(x, context) - flow.log_prob(x, context.flip(0))).abs().max() > 1e-3
    assert flow.distribution(context).rsample((3,)).shape == (3, 40, *space.shape)


@pytest.mark.parametrize(
    ("factors", "order"),
    [([Hypersphere(1), Torus(1)], 120), ([Torus(1), Simplex(1)], 120), ([Hypersphere(2), Torus(1)], 24)],
)
def test_mass_on_a_product_is_one(factors, order):
    space = Product(factors)
    (a, v), (b, w) = (quadrature(f, order) for f in factors)
    x = torch.cat([a[:, None].expand(-1, len(b), -1), b.expand(len(a), -1, -1)], -1).flatten(0, 1)
    flow = bent(ProductFlow(space, transforms=1, bins=4, hidden=8), 0.15)
    with torch.no_grad():
        mass = (v[:, None] * w).flatten() @ flow.log_prob(x).exp()
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_joint_dependence_is_learned():
    """The phase follows the height of the direction; a product of marginals cannot say so."""
    torch.manual_seed(0)
    space = Product([Hypersphere(2), Torus(1)])
    direction = SphericalUniform(2).sample((3000,))
    phase = (direction[:, 2:] * 2 + 0.2 * torch.randn(3000, 1)).clamp(-3.1, 3.1)
    x = torch.cat([direction, phase], -1)
    flow = ProductFlow(space, transforms=1, hidden=32)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(120):
        loss = -flow.log_prob(x[torch.randint(2500, (400,))]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        held_out = -flow.log_prob(x[2500:]).mean()
    independent = math.log(4 * math.pi) + math.log(4)  # the heights are uniform on [-2, 2]
    truth = math.log(4 * math.pi) + 0.5 * math.log(2 * math.pi * math.e * 0.04)
    assert truth - 0.1 < held_out < truth + 0.25 < independent


def simulated(events, detector):
    """Directions and noisy counts of a detector's six faces."""
    source = SphericalUniform(2).sample((events,))
    return source, (source @ detector.mT) + 0.3 * torch.randn(events, len(detector))


@pytest.mark.slow
def test_posteriors_of_a_direction_are_calibrated():
    """Amortised inference: regions of highest posterior density hold their share of 1,000 simulated sources."""
    torch.manual_seed(0)
    detector = torch.cat([torch.eye(3), -torch.eye(3)])
    encoder = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.SiLU(), torch.nn.Linear(64, 16))
    flow = SphereFlow(2, context_dim=16)
    optimizer = torch.optim.Adam([*flow.parameters(), *encoder.parameters()], 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1200)
    for _ in range(1200):
        source, data = simulated(512, detector)
        loss = -flow.log_prob(source, encoder(data)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    source, data = simulated(1000, detector)
    with torch.no_grad():
        context = encoder(data)
        here = flow.log_prob(source, context)
        draws = flow.distribution(context).sample((400,))
        there = flow.log_prob(draws, context)
        exact = VonMisesFisher(*_exact(data, detector))
        gap = (exact.log_prob(source) - here).mean()
    rank = (there > here).double().mean(0)  # the share of draws at a higher density
    for share in (0.5, 0.9):
        inside = float((rank < share).double().mean())
        assert abs(inside - share) < 4 * math.sqrt(share * (1 - share) / 1000), (share, inside)
    assert gap < 0.05


def _exact(data, detector):
    """The posterior: von Mises-Fisher, since |D x|^2 = 2 for every unit x."""
    pull = (data @ detector) / 0.09
    norm = pull.norm(dim=-1, keepdim=True)
    return pull / norm, norm[..., 0]


def test_flow_on_a_space_and_refusals():
    assert isinstance(flow_on(Simplex(3)), SimplexFlow)
    assert isinstance(flow_on(Product([Torus(2), Euclidean(1)]), transforms=1), ProductFlow)
    with pytest.raises(ValueError, match="FlowMatching takes any space"):
        flow_on(object())
    flow = SimplexFlow(2, transforms=1)
    assert flow.log_prob(torch.tensor([[0.2, 0.3, 0.5]])).shape == (1,)
    with pytest.raises(ValueError, match=r"expected positive parts.*replace_zeros"):
        flow.log_prob(torch.tensor([[0.0, 0.5, 0.5]]))
    joint = ProductFlow([Torus(1), Simplex(2)], transforms=1)
    assert joint.log_prob(torch.tensor([[1.0, 0.2, 0.3, 0.5]])).shape == (1,)
    with pytest.raises(ValueError, match="expected positive parts"):
        joint.log_prob(torch.tensor([[1.0, 0.0, 0.5, 0.5]]))
    with pytest.raises(ValueError, match="x: expected"):
        joint.log_prob(torch.zeros(1, 3))


def test_batches_of_any_shape_are_checked():
    flow = bent(ProductFlow([Torus(1), Simplex(2)], transforms=1, bins=3, hidden=4, context_dim=2))
    x = flow.base.sample((6,)).double()
    context = torch.randn(6, 2, dtype=torch.float64)
    found = flow.log_prob(x, context)
    torch.testing.assert_close(flow.log_prob(x.reshape(2, 3, 4), context.reshape(2, 3, 2)), found.reshape(2, 3))
    torch.testing.assert_close(flow.log_prob(x[1], context[1]), found[1])
    for shape in ((2, 3, 4), (4,)):
        broken = x.reshape(-1)[: torch.Size(shape).numel()].reshape(shape).clone()
        broken[..., -1] = 0.0
        with pytest.raises(ValueError, match="expected"):
            flow.log_prob(broken, context[0])
