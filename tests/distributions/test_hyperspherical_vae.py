"""A hyperspherical variational autoencoder (arXiv 1804.00891) in a few lines of Pyro, on scikit-learn's digits."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, TraceMeanField_ELBO
from sklearn.datasets import load_digits
from torch import nn

from manifoldflow.distributions import SphericalUniform, VonMisesFisher


class HypersphericalVAE(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n + 1))
        self.decoder = nn.Sequential(nn.Linear(n, 64), nn.ReLU(), nn.Linear(64, 64))

    def model(self, x):
        pyro.module("vae", self)
        with pyro.plate("data", len(x)):
            s = pyro.sample("s", SphericalUniform(self.n - 1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(s)).to_event(1), obs=x)

    def guide(self, x):
        pyro.module("vae", self)
        out = self.encoder(x)
        loc = nn.functional.normalize(out[:, : self.n], dim=-1)
        with pyro.plate("data", len(x)):
            pyro.sample("s", VonMisesFisher(loc, nn.functional.softplus(out[:, self.n]) + 1))


def test_trains_on_the_digits():
    n = 6
    pyro.clear_param_store()
    x = (torch.tensor(load_digits().data[:600]) / 16).bernoulli().float()
    vae = HypersphericalVAE(n)
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 3e-3}), TraceMeanField_ELBO())
    losses = torch.tensor([svi.step(batch) / len(batch) for _ in range(60) for batch in x.split(100)])
    # What the best independent Bernoulli pixels, without any latent variable, would lose.
    mean = x.mean(0).clamp(1e-6, 1 - 1e-6)
    baseline = -dist.Bernoulli(mean).log_prob(x).sum(-1).mean()
    assert losses.isfinite().all()
    assert losses[-6:].mean() < baseline - 1
    concentration = nn.functional.softplus(vae.encoder(x)[:, n]) + 1
    assert concentration.median() > 3  # the draws carry information: the gradient reached the concentration
