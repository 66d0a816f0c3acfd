"""The angular central Gaussian: density by quadrature, draws, moments, divergences, and Tyler's fit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import kl_divergence

import manifoldflow as mf
from manifoldflow.distributions import AngularCentralGaussian, SphericalUniform

from .strategies import FALSE_ALARM, assert_mean, assert_uniform

F64 = torch.float64


def tensor(values):
    return torch.tensor(values, dtype=F64)


def random_covariance(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n + 2, dtype=F64, generator=generator)
    return root @ root.T


def sphere_grid(count=200):
    height, weight = np.polynomial.legendre.leggauss(count)
    longitude = np.arange(2 * count) * (math.pi / count)
    ring = np.sqrt(1 - height**2)[:, None]
    x = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), height[:, None] + 0 * longitude], -1)
    area = np.broadcast_to(weight[:, None] * math.pi / count, x.shape[:2])
    return torch.from_numpy(x).reshape(-1, 3), torch.from_numpy(area.copy()).reshape(-1)


def test_density_moments_entropy_and_divergence_by_quadrature():
    x, area = sphere_grid()
    law, other = AngularCentralGaussian(random_covariance(3)), AngularCentralGaussian(random_covariance(3, 1))
    log_p = law.log_prob(x)
    mass = log_p.exp() * area
    assert float(mass.sum()) == pytest.approx(1, abs=1e-10)
    assert torch.allclose(law.covariance_matrix, (mass[:, None] * x).T @ x, rtol=0, atol=1e-10)
    assert float(law.entropy()) == pytest.approx(-float(mass @ log_p), abs=1e-10)
    assert float(kl_divergence(law, other)) == pytest.approx(float(mass @ (log_p - other.log_prob(x))), abs=1e-10)
    uniform = SphericalUniform(2, dtype=F64)
    assert float(kl_divergence(law, uniform)) == pytest.approx(math.log(4 * math.pi) - float(law.entropy()), abs=1e-12)
    assert float(law.log_prob(law.mode)) >= float(log_p.max())
    with pytest.raises(ValueError, match="event shape"):
        kl_divergence(law, AngularCentralGaussian(random_covariance(4)))


def test_closed_forms_on_the_circle():
    # diag(a^2, b^2) in the plane: E[cos^2] = a / (a + b), and 2 theta is wrapped Cauchy of entropy log(2 pi (1 - r^2))
    for a, b in ((1.0, 1.0), (2.0, 1.0), (1e3, 1e-3)):
        law = AngularCentralGaussian(torch.diag(tensor([a * a, b * b])))
        assert float(law.covariance_matrix[0, 0]) == pytest.approx(a / (a + b), rel=1e-12)
        ratio = 4 * a * b / (a + b) ** 2
        assert float(law.entropy()) == pytest.approx(math.log(2 * math.pi * ratio), abs=1e-11)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_draws(n):
    torch.manual_seed(n)
    law = AngularCentralGaussian(random_covariance(n))
    s = law.sample((4000,))
    assert ((s.norm(dim=-1) - 1).abs() < 1e-14).all()
    assert_mean(-law.log_prob(s), law.entropy(), errors=3.9)
    # whitened, a draw is uniform: the square of a coordinate is Beta(1/2, (n - 1)/2)
    square = law.to_normal(s)[:, 0].square()
    assert_uniform(torch.from_numpy(stats.beta(0.5, (n - 1) / 2).cdf(square.numpy())))
    assert torch.allclose(law.from_normal(law.to_normal(s)), s, rtol=0, atol=1e-11)


def test_draws_differentiate_in_the_covariance():
    covariance = random_covariance(3).requires_grad_()
    noise = torch.randn(4, 3, dtype=F64)
    assert torch.autograd.gradcheck(lambda c: AngularCentralGaussian(c + c.T).from_normal(noise), covariance)
    x = AngularCentralGaussian(random_covariance(3)).sample((4,))
    assert torch.autograd.gradcheck(lambda c: AngularCentralGaussian(c + c.T).log_prob(x), covariance)
    assert torch.autograd.gradcheck(lambda c: AngularCentralGaussian(c + c.T).entropy(), covariance)


@given(n=st.integers(2, 8), seed=st.integers(0, 2**31), scale=st.floats(1e-6, 1e6))
def test_scale_sign_and_linear_maps(n, seed, scale):
    covariance = random_covariance(n, seed)
    law = AngularCentralGaussian(covariance)
    torch.manual_seed(seed)
    x = law.sample((5,))
    assert torch.allclose(AngularCentralGaussian(scale * covariance).log_prob(x), law.log_prob(x), rtol=0, atol=1e-9)
    assert torch.equal(law.log_prob(-x), law.log_prob(x))
    # the image under a linear map, normalised, has the covariance that a Gaussian's image has
    matrix = torch.randn(n, n, dtype=F64) + 2 * torch.eye(n, dtype=F64)
    image = x @ matrix.T
    length = image.norm(dim=-1)
    mapped = AngularCentralGaussian(matrix @ covariance @ matrix.T).log_prob(image / length[:, None])
    volume = torch.linalg.slogdet(matrix).logabsdet - n * length.log()
    assert torch.allclose(mapped + volume, law.log_prob(x), rtol=0, atol=1e-8)
    assert float(kl_divergence(law, law)) < 1e-9


@pytest.mark.parametrize("n", [2, 3, 12])
def test_tylers_fit(n):
    torch.manual_seed(n)
    law = AngularCentralGaussian(random_covariance(n))
    x, w = law.sample((600,)), torch.rand(600, dtype=F64)
    fitted = AngularCentralGaussian.fit(x, w)
    assert float(fitted.covariance.trace()) == pytest.approx(n)
    # its own equation, and the likelihood
    inverse = torch.linalg.inv(fitted.covariance)
    share = w / w.sum() / ((x @ inverse) * x).sum(-1)
    assert torch.allclose(n * (share[:, None] * x).T @ x, fitted.covariance, rtol=0, atol=1e-10)
    gain = 2 * float((AngularCentralGaussian.fit(x).log_prob(x) - law.log_prob(x)).sum())
    assert 0 < gain < stats.chi2(n * (n + 1) / 2 - 1).isf(FALSE_ALARM)  # Wilks
    flipped = x * torch.where(torch.rand(600, 1) < 0.5, -1.0, 1.0)
    assert torch.allclose(AngularCentralGaussian.fit(flipped, w).covariance, fitted.covariance, rtol=0, atol=1e-10)
    both = AngularCentralGaussian.fit(torch.stack([x, x.flip(0)]).float())
    assert both.covariance.shape == (2, n, n)
    assert both.covariance.dtype == torch.float32


def test_too_few_points_are_refused():
    torch.manual_seed(0)
    x = AngularCentralGaussian(random_covariance(3)).sample((30,))
    AngularCentralGaussian.fit(x)
    with pytest.raises(ValueError, match="span"):
        AngularCentralGaussian.fit(x[:2])
    with pytest.raises(ValueError, match="one subspace"):
        AngularCentralGaussian.fit(torch.cat([x[:1].expand(20, 3), x]))
    with pytest.raises(ValueError, match="unit vectors"):
        AngularCentralGaussian.fit(2 * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_refusals(dtype):
    torch.manual_seed(0)
    law = AngularCentralGaussian(torch.stack([random_covariance(4), random_covariance(4, 1)]).to(dtype))
    wide = law.expand((3, 2))
    s = wide.sample((5,))
    assert (s.shape, s.dtype) == ((5, 3, 2, 4), dtype)
    assert (wide.log_prob(s).shape, wide.log_prob(s).dtype) == ((5, 3, 2), dtype)
    for value in (wide.mean, wide.mode, wide.variance):
        assert (value.shape, value.dtype) == ((3, 2, 4), dtype)
    assert wide.entropy().shape == wide.log_normalizer.shape == (3, 2)
    assert repr(law) == "AngularCentralGaussian(batch=(2,), event=(4,))"
    assert law.manifold.dim == 3
    for bad, match in (
        (-torch.eye(3, dtype=dtype), "covariance"),
        (torch.ones(3, 2, dtype=dtype), "covariance: expected shape"),
        (torch.eye(3, dtype=torch.long), "floating-point"),
    ):
        with pytest.raises(ValueError, match=match):
            AngularCentralGaussian(bad)


def test_matched_paths_keep_the_law_and_typicality_is_uniform():
    torch.manual_seed(0)
    base = AngularCentralGaussian(random_covariance(5))
    start, end = base.sample((2, 3000))
    middle = mf.interpolate(start, end, method="matched", base=base, steps=3)[:, 1]
    assert torch.allclose(mf.interpolate(start, end, method="matched", base=base, steps=3)[:, 0], start, atol=1e-9)
    square = base.to_normal(middle)[:, 0].square()
    assert_uniform(torch.from_numpy(stats.beta(0.5, 2).cdf(square.numpy())))
    assert float(mf.realism.typicality(base, middle).mean()) == pytest.approx(0.5, abs=0.03)
    batch = AngularCentralGaussian(torch.stack([random_covariance(4), random_covariance(4, 1)]))
    start, end = batch.sample((2,))
    path = mf.interpolate(start, end, method="matched", base=batch, steps=4)
    assert torch.allclose(path[:, -1], end, atol=1e-9)
