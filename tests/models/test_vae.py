"""The variational autoencoder: trains on the digits under every prior; its bound, shapes and refusals."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch.distributions import Independent, Laplace, kl_divergence

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher
from manifoldflow.interpolation import interpolate
from manifoldflow.models import VAE

PRIORS = {
    "standard normal": lambda: None,
    "gaussian": lambda: Gaussian(torch.ones(3), 2.0),
    "von mises-fisher": lambda: VonMisesFisher(torch.eye(4)[0], 2.0),
    "uniform on the sphere": lambda: SphericalUniform(3),
    "dirichlet": lambda: Dirichlet(torch.full((4,), 2.0)),
    "laplace": lambda: Independent(Laplace(torch.zeros(3), torch.ones(3)), 1),
}


@pytest.fixture(scope="module")
def digits():
    return torch.from_numpy(load_digits().images).float()[:600, None] / 16


QUICK = ("standard normal", "uniform on the sphere")


@pytest.mark.parametrize("name", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PRIORS])
def test_trains_on_the_digits(name, digits):
    torch.manual_seed(1)
    model = VAE((1, 8, 8), 3, prior=PRIORS[name](), channels=8, hidden=32)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    with torch.no_grad():
        before = model.loss(digits).item()
    for _ in range(200):
        optimiser.zero_grad()
        loss = model.loss(digits[torch.randint(len(digits), (32,))])
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
    with torch.no_grad():
        after = model.loss(digits).item()
    # An untrained model codes pixels as fair coins; a model without latents codes each by its mean.
    mean = digits.mean(0).clamp(1e-3, 1 - 1e-3)
    blind = torch.nn.functional.binary_cross_entropy(mean.expand(digits.shape), digits, reduction="sum") / len(digits)
    assert after < before - 8
    assert after < blind
    z = model.encode(digits[:5])
    assert z.shape == (5, model.latent_dim)
    assert model.prior.support.check(z).all()
    images = model.sample(7)
    assert images.shape == (7, 1, 8, 8)
    assert ((images >= 0) & (images <= 1)).all()


@pytest.mark.parametrize("name", PRIORS)
def test_the_bound_and_its_gradient_are_finite(name, digits):
    model = VAE((1, 8, 8), 3, prior=PRIORS[name](), channels=4, hidden=16)
    loss = model.loss(digits[:20])
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() and (p.grad != 0).any() for p in model.parameters())


def test_the_bound_is_the_divergence_less_the_likelihood(digits):
    model = VAE((1, 8, 8), 2, channels=4, hidden=16)
    x = digits[:10]
    torch.manual_seed(3)
    found = model.loss(x)
    torch.manual_seed(3)
    posterior = model.posterior(x)
    z = posterior.rsample()
    p = model.decode(z)
    likelihood = (x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    divergence = kl_divergence(
        torch.distributions.Normal(posterior.loc, posterior.scale), torch.distributions.Normal(0.0, 1.0)
    ).sum(-1)
    assert torch.allclose(found, (divergence - likelihood).mean(), atol=1e-1, rtol=2e-2)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (1, 1, 5)])
def test_any_image_shape(shape):
    model = VAE(shape, 5, channels=4, hidden=16)
    x = torch.rand(2, *shape)
    assert model.decode(model.encode(x)).shape == (2, *shape)
    assert model.observation(model.encode(x)).sample().shape == (2, *shape)


def test_interpolates(digits):
    model = VAE((1, 8, 8), 4, channels=4, hidden=16)
    z = model.encode(digits[:6])
    images = interpolate(z[:3], z[3:], method="bridge", decode=model.decode, steps=5, samples=2)
    assert images.shape == (2, 3, 5, 1, 8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAE((8, 8)), "image_shape: expected"),
        (lambda: VAE((1, 8, 0)), "image_shape: expected"),
        (lambda: VAE((1, 8, 8), 0), "latent_dim: expected"),
        (lambda: VAE((1, 8, 8), prior=Laplace(0.0, 1.0)), "prior: expected one distribution of vectors"),
        (lambda: VAE((1, 8, 8)).posterior(torch.zeros(2, 1, 9, 9)), r"x: expected images of shape \(rows, 1, 8, 8\)"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
