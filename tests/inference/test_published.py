"""Regressions of directions and compositions, against published estimates."""

import csv

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import scipy.optimize
import torch
from pyro.infer import MCMC, SVI, Trace_ELBO
from pyro.infer.importance import vectorized_importance_weights

from manifoldflow.distributions import Dirichlet
from manifoldflow.inference import AutoManifoldFlow, GeodesicNUTS

from ..pages import ROOT

TABLES = ROOT / "tests" / "inference" / "tables"


def table(path):
    """The columns of a table, by name, without its comments."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    return {name: [row[name] for row in rows] for name in rows[0]}


def numbers(columns, *names):
    return torch.tensor([[float(value) for value in columns[name]] for name in names], dtype=torch.float64).T


# Projected normal regression: bpnreg's FAQ, bpnr(Phaserad ~ Cond + AvAmp, Motor, seed = 101), 1,000 draws.

GROUPS = ("exp", "semi.imp", "imp")


@pytest.fixture(scope="module")
def motor():
    """Directions `(42, 2)`, and the design: an intercept, two groups, the amplitude less its mean, in units of 20."""
    columns = table(TABLES / "motor.csv")
    angle = numbers(columns, "phase").deg2rad()
    amplitude = numbers(columns, "amplitude")
    groups = [[float(name == other) for other in GROUPS[1:]] for name in columns["group"]]
    design = [torch.ones(42, 1), torch.tensor(groups), (amplitude - amplitude.mean()) / 20]
    return torch.cat([angle.cos(), angle.sin()], -1).float(), torch.cat(design, -1).float()


def projected_normal(x, design):
    prior = torch.tensor([100.0, 100.0, 100.0, 2000.0]).unsqueeze(-1).expand(4, 2)
    b = pyro.sample("b", dist.Normal(0.0, prior).to_event(2))
    mean = design @ (b.squeeze(-3) if b.dim() > 2 else b)  # many draws at once have a dimension for the plate
    with pyro.plate("people", len(x)):
        pyro.sample("x", dist.ProjectedNormal(mean), obs=x)


def circular(coefficients, weights):
    """Mean directions and circular standard deviations of the groups, in degrees."""
    of_groups = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]])
    direction = torch.nn.functional.normalize(of_groups @ coefficients, dim=-1)
    mean = (weights[:, None, None] * direction).sum(0)
    return torch.atan2(mean[:, 1], mean[:, 0]).rad2deg(), (-2 * mean.norm(dim=-1).log()).sqrt().rad2deg()


def information(coefficients, weights, x, design):
    """The log pointwise predictive density, WAIC (by variances) and DIC (by the variance of the log-likelihood)."""
    logs = dist.ProjectedNormal(design @ coefficients).log_prob(x)
    lppd = (weights.log()[:, None] + logs).logsumexp(0).sum()
    average = weights @ logs
    variances = weights @ (logs - average).square()
    deviance = -2 * logs.sum(-1)
    at_mean = -2 * dist.ProjectedNormal(design @ torch.einsum("d,dij->ij", weights, coefficients)).log_prob(x).sum()
    dic = 2 * weights @ deviance - at_mean
    return float(lppd), float(-2 * (lppd - variances.sum())), float(dic)


def test_a_projected_normal_regression_by_a_flow_and_its_weights(motor):
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    start = pyro.infer.autoguide.init_to_value(values={"b": torch.zeros(4, 2)})
    guide = AutoManifoldFlow(projected_normal, init_loc_fn=start, init_scale=0.3, transforms=2)
    elbo = Trace_ELBO(16, vectorize_particles=True, max_plate_nesting=1)
    svi = SVI(projected_normal, guide, pyro.optim.ClippedAdam({"lr": 0.03, "lrd": 0.05 ** (1 / 300)}), elbo)
    for _ in range(300):
        svi.step(*motor)
    with torch.no_grad():
        log_weights, _, trace = vectorized_importance_weights(
            projected_normal, guide, *motor, num_samples=60000, max_plate_nesting=1
        )
    weights, b = log_weights.softmax(0), trace.nodes["b"]["value"].squeeze(1)
    assert 1 / weights.square().sum() > 0.5 * len(weights)
    mean, spread = circular(b, weights)
    lppd, waic, dic = information(b, weights, *motor)
    # bpnreg's 1,000 draws, within three of their Monte Carlo errors
    np.testing.assert_array_less((mean[:2] - torch.tensor([47.60691, 15.93874])).abs(), [1.35, 2.57])
    np.testing.assert_array_less((spread - torch.tensor([12.47107, 22.01006, 25.50625])).abs(), [1.31, 2.85, 3.08])
    assert waic == pytest.approx(131.6491, abs=1.2)
    # 150,000 draws of a Metropolis sampler, which a Gibbs sampler on the augmented model confirms
    np.testing.assert_array_less((mean - torch.tensor([46.75, 14.88, 30.73])).abs(), [0.2, 0.3, 0.2])
    np.testing.assert_array_less((spread - torch.tensor([11.83, 23.73, 26.63])).abs(), [0.1, 0.4, 0.1])
    assert lppd == pytest.approx(-57.002, abs=0.02)
    assert dic == pytest.approx(130.02, abs=0.05)


@pytest.mark.slow
def test_a_projected_normal_regression_by_the_geodesic_kernel(motor):
    pyro.set_rng_seed(0)
    start = {"b": torch.zeros(4, 2)}
    mcmc = MCMC(GeodesicNUTS(projected_normal), 1000, warmup_steps=200, initial_params=start, disable_progbar=True)
    mcmc.run(*motor)
    b = mcmc.get_samples()["b"]
    weights = torch.full((len(b),), 1 / len(b))
    mean, spread = circular(b, weights)
    np.testing.assert_array_less((mean[:2] - torch.tensor([47.60691, 15.93874])).abs(), [1.35, 2.57])
    np.testing.assert_array_less((spread - torch.tensor([12.47107, 22.01006, 25.50625])).abs(), [1.31, 2.85, 3.08])
    assert information(b, weights, *motor)[1] == pytest.approx(131.6491, abs=1.2)


# Dirichlet regressions: the vignette of the R package DirichletReg (M. Maier, 2014).


def estimate(log_likelihood, size):
    """The parameters that make a log-likelihood largest, and its deviance there."""

    def loss(values):
        values = torch.tensor(values, requires_grad=True)
        value = -log_likelihood(values)
        return float(value.detach()), torch.autograd.grad(value, values)[0].numpy()

    found = scipy.optimize.minimize(loss, np.zeros(size), jac=True, method="BFGS", options={"gtol": 1e-7})
    return found.x, 2 * found.fun


@pytest.mark.parametrize(
    ("degree", "published", "tolerance"),
    [
        (1, [0.1166248, 0.02335114, -0.31059591, 0.05556745, -1.15195642, 0.06430175], [2e-5, 2e-5]),
        (
            2,
            [1.4361967, -0.0072382, 0.0001324, -0.0259705, 0.071745, -0.0002679, -1.7931487, 0.1107906, -0.0004872],
            [2e-4, 1e-5, 1e-6],
        ),
    ],
)
def test_sediments_by_depth(degree, published, tolerance):
    columns = table(ROOT / "docs" / "tutorials" / "data" / "arctic_lake.csv")
    shares = numbers(columns, "sand", "silt", "clay")
    shares = shares / shares.sum(-1, keepdim=True)
    depth = numbers(columns, "depth") / 50  # of the size of 1, for the sake of the optimiser
    design = torch.cat([depth**k for k in range(degree + 1)], -1)

    def log_likelihood(b):
        return Dirichlet((design @ b.reshape(3, -1).T).exp()).log_prob(shares).sum()

    found, deviance = estimate(log_likelihood, 3 * (degree + 1))
    found = found.reshape(3, -1) / 50.0 ** np.arange(degree + 1)
    np.testing.assert_array_less(np.abs(found - np.reshape(published, (3, -1))), np.tile(tolerance, (3, 1)))
    if degree == 1:
        assert deviance == pytest.approx(-202.74, abs=0.005)


def test_blood_samples_by_disease():
    columns = table(TABLES / "blood_samples.csv")
    shares = numbers(columns, "albumin", "pre_albumin", "globulin_a", "globulin_b")
    shares = shares / shares.sum(-1, keepdim=True)
    disease = torch.tensor([float(name == "B") for name in columns["disease"]], dtype=torch.float64)
    design = torch.stack([torch.ones_like(disease), disease], -1)

    def log_likelihood(values):
        logits = design @ values[:6].reshape(3, 2).T  # of the mean, against globulin A
        logits = torch.cat([logits[:, :2], torch.zeros(len(design), 1, dtype=torch.float64), logits[:, 2:]], -1)
        return Dirichlet(logits.softmax(-1) * values[6].exp()).log_prob(shares).sum()

    found, deviance = estimate(log_likelihood, 7)
    published = [1.11639, -0.07002, 0.549, -0.1276, 0.4863, 0.1819, 4.2227]
    np.testing.assert_allclose(found, published, rtol=0, atol=1e-4)
    assert deviance == pytest.approx(-303.86, abs=0.006)
