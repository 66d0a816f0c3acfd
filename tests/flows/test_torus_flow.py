"""Flows of angles: densities that integrate to one, exact inverses, log-volumes, conditioning, bad input."""

import math

import pytest
import torch

from manifoldflow.distributions import VonMises
from manifoldflow.errors import OffManifoldError
from manifoldflow.flows import CircleFlow, TorusFlow, default_base
from manifoldflow.manifolds import Torus

VARIANTS = [
    {"passes": "coupling"},
    {"passes": "autoregressive"},
    {"kind": "moebius", "passes": "coupling"},
    {"kind": "moebius", "passes": "autoregressive"},
]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}


def trained(dim, *, seed=0, size=0.15, dtype=torch.float64, **options):
    """A flow away from the identity."""
    torch.manual_seed(seed)
    flow = TorusFlow(dim, **{"transforms": 3, "bins": 5, "hidden": 16, **options}).to(dtype)
    for parameter in flow.parameters():
        parameter.data += size * torch.randn_like(parameter)
    return flow


def angles(*shape, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (math.pi * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)).to(dtype)


def apart(x, y):
    return torch.special.sinc((x - y).abs() / (2 * math.pi)) * (x - y)  # 0 for the same angle in any turn


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("dim", [1, 4])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_round_trips(options, dim, dtype):
    flow = trained(dim, dtype=dtype, size=0.1, **options)
    ends = torch.tensor([-math.pi, math.pi, 0.0], dtype=dtype).expand(dim, 3).T
    x = torch.cat([angles(200, dim, dtype=dtype), ends])
    s, ladj = flow.encode_and_ladj(x)
    assert s.dtype == ladj.dtype == dtype
    assert s.abs().max() <= math.pi * (1 + 1e-6)
    assert ladj.std() > 0.01
    assert apart(flow.decode(s), x).abs().max() < TOLERANCE[dtype]
    assert apart(flow.encode(flow.decode(x)), x).abs().max() < TOLERANCE[dtype]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_log_volume_is_that_of_the_jacobian(options):
    flow = trained(4, **options)
    x = angles(3, 4)
    jacobian = torch.func.vmap(torch.func.jacrev(flow.encode))(x)
    torch.testing.assert_close(flow.encode_and_ladj(x)[1], jacobian.det().abs().log())


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_mass_on_the_torus(options):
    flow = trained(2, size=0.1, **options)
    turn = 2 * math.pi * torch.arange(200, dtype=torch.float64) / 200
    grid = torch.cartesian_prod(turn, turn)
    with torch.no_grad():
        assert flow.log_prob(grid).exp().mean() * (2 * math.pi) ** 2 == pytest.approx(1, abs=1e-4)


def test_density_is_continuous_across_the_cut():
    flow = trained(3, size=0.3)
    x = angles(50, 3)
    left, right = x.clone(), x.clone()
    left[:, 1], right[:, 1] = -math.pi, math.pi
    torch.testing.assert_close(flow.log_prob(left), flow.log_prob(right))
    torch.testing.assert_close(flow.log_prob(x + 2 * math.pi), flow.log_prob(x))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_untrained_flow_is_the_identity_with_the_uniform_law(options):
    flow = TorusFlow(3, transforms=2, **options)
    x = angles(20, 3, dtype=torch.float32)
    torch.testing.assert_close(flow.encode(x), x, rtol=0, atol=1e-5)
    torch.testing.assert_close(flow.log_prob(x), torch.full((20,), -3 * math.log(2 * math.pi)))
    torch.testing.assert_close(default_base(Torus(3)).log_prob(x), torch.full((20,), -3 * math.log(2 * math.pi)))


@pytest.mark.parametrize("passes", ["coupling", "autoregressive"])
def test_conditioning(passes):
    flow = trained(2, context_dim=3, passes=passes)
    x, context = angles(7, 2), torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.stack([flow.log_prob(a[None], c[None])[0] for a, c in zip(x, context)])
    torch.testing.assert_close(flow.log_prob(x, context), rows)
    assert (flow.log_prob(x, context) - flow.log_prob(x, context.flip(0))).abs().max() > 0.01
    torch.testing.assert_close(flow.log_prob(x[:, None], context)[2, 4], flow.log_prob(x[2], context[4]))
    law = flow.distribution(context)
    assert law.sample((4,)).shape == (4, 7, 2)
    torch.testing.assert_close(flow.decode(flow.encode(x, context), context), x)


def test_circle_flow_learns_a_von_mises_law():
    torch.manual_seed(0)
    flow = CircleFlow(transforms=2, bins=8)
    truth = VonMises(torch.tensor([2.8]), torch.tensor([6.0]))
    x = truth.sample((1000,))
    optimizer = torch.optim.Adam(flow.parameters(), 3e-2)
    for _ in range(150):
        loss = -flow.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = truth.sample((1000,))
    with torch.no_grad():
        assert (truth.log_prob(held_out) - flow.log_prob(held_out)).mean() < 0.05


@pytest.mark.parametrize("passes", ["coupling", "autoregressive"])
def test_gradients_through_draws_and_second_derivatives(passes):
    flow = trained(2, transforms=2, bins=3, hidden=4, passes=passes)
    x = angles(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(flow.log_prob, x)
    assert torch.autograd.gradgradcheck(flow.log_prob, x)
    assert torch.autograd.gradcheck(flow.decode, x)


def test_other_bases_empty_batches_and_compositions_with_vmap():
    base = VonMises(torch.zeros(2), torch.ones(2))
    flow = trained(2, base=base)
    x = angles(4, 2)
    s, ladj = flow.encode_and_ladj(x)
    torch.testing.assert_close(flow.log_prob(x), base.log_prob(s) + ladj)
    assert flow.log_prob(angles(0, 2)).shape == (0,)
    assert flow.decode(angles(0, 2)).shape == (0, 2)
    torch.testing.assert_close(torch.func.vmap(flow.encode)(x), flow.encode(x))
    assert flow.sample((3,)).dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "splines"}, "kind: .*did you mean 'spline'"),
        ({"passes": "couplings"}, "passes: .*did you mean 'coupling'"),
        ({"bins": 1}, "bins: expected an integer >= 2"),
        ({"transforms": 0}, "transforms: "),
        ({"hidden": 0}, "hidden: "),
        ({"hidden": 2, "passes": "autoregressive"}, "hidden: expected an integer >= 3"),
        ({"context_dim": -1}, "context_dim: "),
    ],
)
def test_bad_options(options, match):
    TorusFlow(3, transforms=1)
    with pytest.raises(ValueError, match=match):
        TorusFlow(3, **options)


def test_bad_data():
    flow = TorusFlow(2, transforms=1)
    flow.log_prob(torch.zeros(1, 2))
    with pytest.raises(OffManifoldError, match="x: expected shape"):
        flow.log_prob(torch.zeros(1, 3))
    with pytest.raises(TypeError, match="x: expected a floating-point tensor"):
        flow.log_prob(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="dim: "):
        TorusFlow(0)
