"""Simulation-based calibration of the geodesic kernels: a direction, a concentration and a slope.

    python -m benchmarks.calibration [--kernel GeodesicNUTS] [--replicates 200] [--together 50] [--draws 49]

Parameters come from the prior and data from them; among draws of the posterior the parameters then have uniform ranks.
The replicates are independent, so that a plate holds several and one chain samples them together. A row for each
quantity has the p value of a chi-square test of its ranks over ten bins. To see that it can fail, `--power 0.5` halves
the log-likelihood.

Reference: S. Talts et al., Validating Bayesian inference algorithms with simulation-based calibration, 2018 (arXiv
1804.06788).
"""

import argparse
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import MCMC
from scipy.stats import chisquare
from torch import Tensor

from manifoldflow import inference
from manifoldflow.distributions import SphericalUniform, VonMisesFisher

__all__ = ["calibrate", "quantities", "ranks", "uniformity"]

DOUBLE: Any = {"dtype": torch.float64}
UP = torch.tensor([0.0, 0.0, 1.0], **DOUBLE)
ROWS, THIN, BINS = 15, 5, 10
NAMES = ("direction, first axis", "direction, second axis", "direction, third axis", "concentration", "slope")


def model(height: Tensor, replicates: int, data: Tensor | None = None, power: float = 1.0) -> Tensor:
    """A regression of directions on heights `(m,)`, in a plate of replicates; data `(replicates, m, 3)`."""
    with pyro.plate("replicates", replicates, dim=-2):
        middle = pyro.sample("middle", SphericalUniform(2, **DOUBLE))
        kappa = pyro.sample("kappa", dist.Gamma(torch.tensor(4.0, **DOUBLE), 0.4))
        slope = pyro.sample("slope", dist.Normal(torch.tensor(0.0, **DOUBLE), 0.7))
        loc = torch.nn.functional.normalize(middle + (slope * height).unsqueeze(-1) * UP, dim=-1)
        with pyro.plate("rows", len(height), dim=-1), pyro.poutine.scale(scale=power):
            return pyro.sample("x", VonMisesFisher(loc, kappa), obs=data)


def quantities(values: dict[str, Tensor]) -> Tensor:
    """What is ranked, `(..., replicates, 5)`: the direction's coordinates, the concentration, the slope."""
    return torch.cat([values["middle"], values["kappa"].unsqueeze(-1), values["slope"].unsqueeze(-1)], -1).squeeze(-2)


def ranks(truth: Tensor, draws: Tensor) -> Tensor:
    """How many of the draws `(m, ...)` are below the truth `(...)`: 0 to m."""
    return (draws < truth).sum(0)


def uniformity(found: Tensor, draws: int, bins: int = BINS) -> list[float]:
    """The p value, for each column of ranks `(replicates, k)` from 0 to `draws`, of a chi-square test of uniformity."""
    if (draws + 1) % bins:
        raise ValueError(f"draws: expected one less than a multiple of {bins}, the number of bins, got {draws}")
    bin_of = found * bins // (draws + 1)
    return [float(chisquare(torch.bincount(column, minlength=bins).numpy()).pvalue) for column in bin_of.T]


def calibrate(kernel: type, replicates: int, together: int, draws: int, seed: int = 0, power: float = 1.0) -> Tensor:
    """Ranks `(replicates, 5)`; the chain of every `together` replicates is thinned to `draws`."""
    pyro.set_rng_seed(seed)
    height, found = torch.linspace(-1, 1, ROWS, **DOUBLE), []
    for start in range(0, replicates, together):
        count = min(together, replicates - start)
        prior = pyro.poutine.trace(model).get_trace(height, count)
        truth = {name: site["value"] for name, site in prior.iter_stochastic_nodes() if name != "x"}
        options: dict[str, Any] = {"jit_compile": True, "max_plate_nesting": 2}
        mcmc = MCMC(kernel(model, **options), num_samples=THIN * draws, warmup_steps=150, disable_progbar=True)
        with pyro.validation_enabled(False):
            mcmc.run(height, count, prior.nodes["x"]["value"], power)
        after = {name: value[THIN - 1 :: THIN] for name, value in mcmc.get_samples().items()}
        found.append(ranks(quantities(truth), quantities(after)))
    return torch.cat(found)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", choices=["GeodesicNUTS", "GeodesicHMC"], default="GeodesicNUTS")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--together", type=int, default=50)
    parser.add_argument("--draws", type=int, default=49)
    parser.add_argument("--power", type=float, default=1.0)
    a = parser.parse_args()
    torch.set_num_threads(1)
    found = calibrate(getattr(inference, a.kernel), a.replicates, a.together, a.draws, power=a.power)
    print("| quantity | mean rank, 0 to 1 | p |\n|---|---|---|")
    for name, column, p in zip(NAMES, found.T, uniformity(found, a.draws)):
        print(f"| {name} | {column.double().mean() / a.draws:.3f} | {p:.3f} |")


if __name__ == "__main__":
    main()
