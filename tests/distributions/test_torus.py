"""Laws on the torus: von Mises products and the wrapped normal, against torch, scipy, quadrature and lattice sums."""

import math

import pytest
import torch
from scipy import integrate
from torch.autograd import gradcheck
from torch.distributions import kl_divergence

import manifoldflow as mf
from manifoldflow.distributions import VonMises, WrappedNormal, law_of
from manifoldflow.manifolds import Torus

from .strategies import assert_mean, assert_uniform

F64 = torch.float64


def tensor(values):
    return torch.tensor(values, dtype=F64)


def turn(count=2000):
    return (torch.arange(count, dtype=F64) + 0.5) * (2 * math.pi / count) - math.pi


# stan-dev/math, test/prob/von_mises; and the density at the mode for kappa = 720, where I0 itself overflows (mpmath)
PUBLISHED = [
    (0.5235987755982988, 0.5, 1.0471975511965976, -1.4664140837026074),
    (-2.356194490192345, 1.0, -0.5235987755982988, -2.332610470019045),
    (0.5235987755982988, 4.0, -0.5235987755982988, -2.262849861924804),
    (0.5235987755982988, 0.01, 1.0471975511965976, -1.8292418122152527),
    (0.0, 720.0, 0.0, math.log(10.70288510336534)),
]


@pytest.mark.parametrize(("mu", "kappa", "x", "exact"), PUBLISHED)
def test_published_densities(mu, kappa, x, exact):
    assert float(VonMises(tensor([mu]), kappa).log_prob(tensor([x]))) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 5.0, 200.0])
def test_density_entropy_moments_and_distribution_function(kappa):
    law, x = VonMises(tensor([2.5]), kappa), turn()
    log_p = law.log_prob(x[:, None])
    mass = log_p.exp() * (2 * math.pi / len(x))
    assert float(mass.sum()) == pytest.approx(1, abs=1e-12)
    assert float(law.entropy()) == pytest.approx(-float(mass @ log_p), abs=1e-10)
    assert float(law.mean_resultant_length) == pytest.approx(float(mass @ (x - 2.5).cos()), abs=1e-12)
    assert float(law.variance + law.mean_resultant_length) == pytest.approx(1)
    delta = torch.linspace(-1, 1, 9, dtype=F64) * min(3.1, 5 / math.sqrt(max(kappa, 1e-3)))  # before cdf is 0 or 1
    cdf = law.cdf(Torus(1).projection(2.5 + delta[:, None]))[:, 0]
    peak = float(law.log_prob(law.loc))
    exact = [  # scipy's own distribution function is that of a normal law above kappa = 50
        integrate.quad(lambda t: math.exp(peak - 2 * kappa * math.sin(t / 2) ** 2), -math.pi, end, epsabs=1e-12)[0]
        for end in delta.tolist()
    ]
    assert torch.allclose(cdf, tensor(exact), rtol=0, atol=1e-10)
    back = law.icdf(cdf[:, None])[:, 0]
    assert Torus(1).metric.dist(back[:, None], Torus(1).projection(2.5 + delta[:, None])).max() < 1e-8


@pytest.mark.parametrize("kappa", [0.0, 1.0, 50.0, 1e8])
def test_draws(kappa):
    torch.manual_seed(0)
    law = VonMises(tensor([3.0, -1.0]), kappa)
    x = law.sample((2000,))
    assert law.support.check(x).all()
    assert_uniform(law.cdf(x))


def test_gradients():
    loc, kappa = tensor([0.5, -3.0]).requires_grad_(), tensor([0.7, 20.0]).requires_grad_()
    x = tensor([[0.1, 3.0], [3.0, -2.0]])
    assert gradcheck(lambda m, k: VonMises(m, k).log_prob(x), (loc, kappa))
    assert gradcheck(lambda k: VonMises(loc.detach(), k).entropy(), kappa)
    torch.manual_seed(0)
    drawn = VonMises(loc.detach(), kappa.expand(20_000, 2)).rsample()
    (slope,) = torch.autograd.grad((drawn - loc.detach()).cos().mean(0).sum(), kappa)
    step = 1e-5
    exact = [
        (VonMises(loc, kappa + step).mean_resultant_length - VonMises(loc, kappa - step).mean_resultant_length)[i]
        / (2 * step)
        for i in range(2)
    ]
    assert torch.allclose(slope, torch.stack(exact).detach(), rtol=0.05)


def test_fit_and_divergence():
    torch.manual_seed(0)
    law = VonMises(tensor([3.0, -1.0]), tensor([2.0, 1e6]))
    x, w = law.sample((3000,)), torch.rand(3000, dtype=F64)
    fitted = VonMises.fit(x, w)
    share = (w / w.sum())[:, None]
    assert torch.allclose(fitted.variance, (2 * share * (0.5 * (x - fitted.loc)).sin() ** 2).sum(0), rtol=1e-9)
    assert (share * (x - fitted.loc).sin()).sum(0).abs().max() < 1e-14
    # data of astropy's vonmisesmle example: kappa solves A(kappa) = R (its printed 1.4936 is an approximation)
    degrees = tensor([130.0, 90.0, 0.0, 145.0])[:, None]
    small = VonMises.fit(degrees.deg2rad())
    assert float(small.loc.rad2deg()) == pytest.approx(101.16894320013179, abs=1e-9)
    assert float(small.concentration) == pytest.approx(1.5002580199168425, abs=1e-9)
    draws = law.sample((100_000,))
    assert_mean(law.log_prob(draws) - fitted.log_prob(draws), kl_divergence(law, fitted), errors=4)
    assert float(kl_divergence(law, law)) < 1e-12
    with pytest.raises(ValueError, match="coinciding"):
        VonMises.fit(x[:1].expand(5, 2))
    with pytest.raises(ValueError, match="finite"):
        VonMises.fit(torch.full((3, 1), math.nan))


@pytest.mark.parametrize("scale", [0.05, 0.7, 1.99, 2.01, 6.0])
def test_wrapped_normal_by_the_lattice_sum(scale):
    law = WrappedNormal(Torus(2), tensor([1.0, 3.0]), scale)
    x = torch.cartesian_prod(turn(40), turn(40))
    assert float(
        WrappedNormal(Torus(1), tensor([3.0]), scale).log_prob(turn()[:, None]).exp().mean()
    ) * 2 * math.pi == (pytest.approx(1, abs=1e-12))
    lattice = 2 * math.pi * torch.arange(-12.0, 13.0, dtype=F64)
    shifted = (x - law.loc)[..., None] + lattice
    exact = torch.distributions.Normal(tensor(0.0), scale).log_prob(shifted).logsumexp(-1).sum(-1)
    assert torch.allclose(law.log_prob(x), exact, rtol=0, atol=1e-11)
    s = law.sample((2000,))
    assert law.support.check(s).all()
    assert_mean((s - law.loc).cos(), math.exp(-(scale**2) / 2), errors=4)
    parameters = (law.loc.clone().requires_grad_(), tensor(scale).requires_grad_())
    assert gradcheck(lambda m, c: WrappedNormal(Torus(2), m, c).log_prob(x[:3]), parameters)


def test_matched_paths_keep_the_law():
    torch.manual_seed(0)
    base = VonMises(tensor([3.0, 0.0, -1.0]), tensor([2.0, 30.0, 0.5]))
    start, end = base.sample((2, 2000))
    lift = law_of(base).lift
    assert torch.allclose(lift.decode(*lift.encode(start, None)), start, atol=1e-7)
    middle = mf.interpolate(start, end, method="matched", base=base, steps=3)[:, 1]
    assert base.support.check(middle).all()
    assert_uniform(base.cdf(middle)[:, 0])
    assert_uniform(base.cdf(middle)[:, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_refusals(dtype):
    law = VonMises(torch.zeros(4, 1, 2, dtype=dtype), torch.rand(5, 2, dtype=dtype))
    assert (law.batch_shape, law.event_shape) == ((4, 5), (2,))
    s = law.expand((3, 4, 5)).sample((2,))
    assert (s.shape, s.dtype) == ((2, 3, 4, 5, 2), dtype)
    assert (law.log_prob(s).shape, law.log_prob(s).dtype) == ((2, 3, 4, 5), dtype)
    assert law.entropy().shape == (4, 5)
    assert repr(law) == "VonMises(batch=(4, 5), event=(2,))"
    for loc, kappa, match in (
        (torch.zeros(2, dtype=dtype), -1.0, "concentration"),
        (torch.zeros(2, dtype=dtype), torch.ones(3, dtype=dtype), "broadcasts"),
        (torch.zeros(2, dtype=torch.long), 1.0, "floating-point"),
        (torch.full((2,), math.inf, dtype=dtype), 1.0, "loc"),
    ):
        with pytest.raises(ValueError, match=match):
            VonMises(loc, kappa)


def test_arrays_are_named_before_their_shape_is_asked_for():
    for build, good in (
        (lambda m: VonMises(m, 1.0), torch.zeros(2)),
        (lambda b: mf.distributions.FisherBingham(b, torch.eye(2)), torch.zeros(2)),
        (mf.distributions.Bingham, torch.eye(2)),
        (mf.distributions.AngularCentralGaussian, torch.eye(2)),
        (lambda q: mf.distributions.Kent(q, 1.0, 0.0), torch.eye(3)),
    ):
        build(good)
        with pytest.raises(TypeError, match="expected a floating-point tensor"):
            build(good.numpy())
