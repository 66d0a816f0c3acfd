"""Inference with latent directions: draws and seconds per gradient beside other samplers, exact moments.

    python -m benchmarks.inference TABLE [--sizes 3 10 50 200] [--draws N] [--warm-up N] [--seeds N]

TABLE is one of:

- efficiency: effective draws per gradient evaluation of GeodesicNUTS, GeodesicHMC and Pyro's NUTS through SphereReparam
  on a Fisher-Bingham law of unit vectors in R^n: mean over seeds and standard deviation.
- slice: effective draws per second of GeodesicNUTS and of geosss' two slice samplers (pip install geosss), n = 50.
- cost: microseconds of a kernel's step for each gradient beside the model's own gradient.
- exact: standard errors between sampled and exact moments, the largest, of laws on the sphere, torus and simplex.

The law of size n has the density exp(x'Ax + b'x), A diagonal with entries evenly from -n/2 to n/2, all entries of b
sqrt(n): coordinates whose variances differ by a factor of three, about a mean direction. Effective draws are the fewest
over all coordinates and their squares (Geyer's estimator, as Pyro has it). Warm-up is not counted.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.infer import MCMC, NUTS, SVI, Trace_ELBO
from pyro.ops.integrator import potential_grad, velocity_verlet
from scipy.special import ive
from torch import Tensor

from manifoldflow.distributions import SphericalUniform, VonMises, VonMisesFisher, WrappedNormal
from manifoldflow.evaluation import quadrature
from manifoldflow.inference import GeodesicHMC, GeodesicNUTS, SphereReparam
from manifoldflow.inference.diagnostics import effective_size
from manifoldflow.manifolds import Hypersphere, Torus

DOUBLE: Any = {"dtype": torch.float64}


class Run(NamedTuple):
    """Effective draws, gradient evaluations and seconds of processor time after warm-up."""

    effective: float
    gradients: int
    seconds: float


def law(n: int) -> tuple[Tensor, Tensor]:
    """Diagonal of A and b."""
    return n * torch.linspace(-0.5, 0.5, n, **DOUBLE), torch.full((n,), math.sqrt(n), **DOUBLE)


def model(n: int) -> Callable[[], None]:
    """The law as a Pyro model."""
    a, b = law(n)
    uniform = SphericalUniform(n - 1, **DOUBLE)

    def direction() -> None:
        x = pyro.sample("x", uniform)
        pyro.factor("density", (x * (a * x + b)).sum(-1))

    return direction


class Counting(NUTS):
    """Pyro's NUTS, counting its gradients and seconds after warm-up."""

    def setup(self, warmup_steps: int, *args: Any, **kwargs: Any) -> None:
        """Count from here."""
        super().setup(warmup_steps, *args, **kwargs)
        potential, self.gradients = self.potential_fn, 0

        def counted(z: Any) -> Tensor:
            self.gradients += 1
            return potential(z)

        self.potential_fn = counted

    def sample(self, params: Any) -> Any:
        """Start again after warm-up."""
        if self._t == self._warmup_steps:
            self.gradients, self.began = 0, time.process_time()
        return super().sample(params)


def timed(kernel: type) -> type:
    """A geodesic kernel that notes when its warm-up ends."""

    class Timed(kernel):  # type: ignore[misc]
        def sample(self, params: Any) -> Any:
            if self._t == self._warmup_steps:
                self.began = time.process_time()
            return super().sample(params)

    return Timed


def effective(x: Tensor) -> float:
    """The fewest effective draws of the coordinates and their squares."""
    columns = torch.cat([x, x * x], -1).split(16, -1)  # Pyro's estimator takes the draws squared in memory
    return min(float(effective_size(part[None]).min()) for part in columns)


def run(sampler: str, n: int, draws: int, seed: int, warm_up: int = 500) -> Run:
    """One chain of "GeodesicNUTS", "GeodesicHMC" or "NUTS"."""
    pyro.set_rng_seed(seed)
    target = model(n)
    kernel: Any
    if sampler == "NUTS":
        target = pyro.poutine.reparam(target, {"x": SphereReparam()})
        kernel = Counting(target, jit_compile=True, ignore_jit_warnings=True)
    else:
        kernel = timed({"GeodesicNUTS": GeodesicNUTS, "GeodesicHMC": GeodesicHMC}[sampler])(target, jit_compile=True)
    mcmc = MCMC(kernel, num_samples=draws, warmup_steps=warm_up, disable_progbar=True)
    with pyro.validation_enabled(False):
        mcmc.run()
    seconds = time.process_time() - kernel.began
    if sampler == "NUTS":
        return Run(
            effective(torch.nn.functional.normalize(mcmc.get_samples()["x_normal"], dim=-1)), kernel.gradients, seconds
        )
    return Run(effective(mcmc.get_samples()["x"]), mcmc.diagnostics()["gradients"]["chain 0"], seconds)


def per_gradient(sampler: str, n: int, draws: int, seeds: int, warm_up: int = 500) -> list[float]:
    """Effective draws per gradient evaluation, by seed."""
    runs = [run(sampler, n, draws, seed, warm_up) for seed in range(seeds)]
    return [one.effective / one.gradients for one in runs]


SLICES = {"shrinkage": "ShrinkageSphericalSliceSampler", "rejection": "RejectionSphericalSliceSampler"}


def slice_run(kind: str, n: int, draws: int, seed: int) -> float:
    """Effective draws per second of a slice sampler of geosss; ImportError where it is not installed.

    They are counted from every tenth draw, since its draws are much alike.
    """
    import geosss

    a, b = law(n)
    target = geosss.BinghamFisher(np.diag(a.numpy()), b.numpy())
    start = np.full(n, 1 / math.sqrt(n))
    sampler = getattr(geosss, SLICES[kind])(target, start, seed)
    sampler.sample(draws // 10)
    began = time.process_time()
    x = sampler.sample(draws)
    seconds = time.process_time() - began
    return effective(torch.from_numpy(x[::10].copy())) / seconds


def steps(n: int) -> dict[str, Callable[[], object]]:
    """A two-stage step of ours, the two gradients alone, and two leapfrog steps of Pyro's, all compiled."""
    with pyro.validation_enabled(False):
        ours, pyros = (
            GeodesicNUTS(model(n), jit_compile=True),
            NUTS(pyro.poutine.reparam(model(n), {"x": SphereReparam()}), jit_compile=True, ignore_jit_warnings=True),
        )
        ours.setup(1)
        pyros.setup(1)
    phase, target = ours._phase, ours._target
    z = {name: value.detach() for name, value in pyros.initial_params.items()}
    r = {name: torch.randn_like(value) for name, value in z.items()}

    def gradients() -> None:
        for _ in range(2):
            potential_grad(target._energy, {"q": phase.q.detach()})

    return {
        "ours": lambda: ours._step(phase, 0.1),
        "floor": gradients,
        "Pyro NUTS": lambda: velocity_verlet(z, r, pyros.potential_fn, lambda p: p, 0.1, 2),
    }


def variational(observations: int = 60) -> dict[str, Callable[[], object]]:
    """A step of SVI for a direction with a von Mises-Fisher guide, and for a vector with a Normal one."""
    torch.manual_seed(0)
    data = torch.nn.functional.normalize(torch.randn(observations, 3) + 2.0, dim=-1)

    def model_of(prior: Callable[[], Any]) -> Callable[[], None]:
        def model() -> None:
            s = pyro.sample("s", prior())
            with pyro.plate("data", observations):
                pyro.sample("x", dist.Normal(s, 0.3).to_event(1), obs=data)

        return model

    def direction_guide() -> None:
        loc = pyro.param("loc", torch.tensor([1.0, 0.0, 0.0]), constraint=constraints.sphere)
        kappa = pyro.param("kappa", torch.tensor(10.0), constraint=constraints.positive)
        pyro.sample("s", VonMisesFisher(loc, kappa))

    def vector_guide() -> None:
        loc = pyro.param("mean", torch.tensor([1.0, 0.0, 0.0]))
        scale = pyro.param("scale", torch.full((3,), 0.3), constraint=constraints.positive)
        pyro.sample("s", dist.Normal(loc, scale).to_event(1))

    models = {
        "ours": (model_of(lambda: SphericalUniform(2)), direction_guide),
        "Normal guide": (model_of(lambda: dist.Normal(torch.zeros(3), 1.0).to_event(1)), vector_guide),
    }
    pyro.clear_param_store()
    svi = {name: SVI(*pair, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO()) for name, pair in models.items()}
    return {name: one.step for name, one in svi.items()}


# Exact moments


def moments(x: Tensor) -> Tensor:
    """Coordinates and their products, without the last, which the others fix on a sphere."""
    rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1])[:, :-1]
    return torch.cat([x, x[..., rows] * x[..., columns]], -1)


def exact_moments(log_density: Callable[[Tensor], Tensor], points: Tensor, weights: Tensor) -> Tensor:
    """Exact moments on a sphere."""
    weights = weights * (log_density(points) - log_density(points).max()).exp()
    return (weights[:, None] * moments(points)).sum(0) / weights.sum()


def grid(n: int) -> tuple[Tensor, Tensor]:
    """Points of S^2 or S^3 and weights of their area, on S^3 by Gauss-Legendre in a squared radius."""
    if n == 3:
        return quadrature(Hypersphere(2), 60)
    u, weight = np.polynomial.legendre.leggauss(30)
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    v, first, second = np.meshgrid((u + 1) / 2, angle, angle, indexing="ij")
    r, s = np.sqrt(v), np.sqrt(1 - v)
    points = np.stack([r * np.cos(first), r * np.sin(first), s * np.cos(second), s * np.sin(second)], -1).reshape(-1, 4)
    return torch.from_numpy(points), torch.from_numpy(np.repeat(weight, len(points) // len(weight)))


MATRIX = torch.tensor([[2.0, 1.0, 0.0], [1.0, -1.0, 0.5], [0.0, 0.5, -1.0]], **DOUBLE)
AXES = torch.tensor([3.0, 1.0, 0.0, -2.0], **DOUBLE)
MODES = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], **DOUBLE) / math.sqrt(3)
SHARES = torch.tensor([0.4, 0.3, 0.2, 0.1], **DOUBLE)
CONCENTRATION = torch.tensor([2.0, 1.0, 3.0, 0.8], **DOUBLE)
MEAN = torch.tensor([3.0, -1.0], **DOUBLE)
KAPPA = torch.tensor([2.0, 0.5], **DOUBLE)
SPREAD = 0.7

ON_SPHERES: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "Fisher-Bingham, S^2": (3, lambda x: x[..., 0] + ((x @ MATRIX) * x).sum(-1)),
    "four von Mises-Fisher modes, S^2": (3, lambda x: torch.logsumexp(SHARES.log() + 2.5 * x @ MODES.T, -1)),
    "Bingham, S^3": (4, lambda x: (x * x) @ AXES),
    "uniform, S^2": (3, lambda x: 0 * x[..., 0]),
}
LAWS = (*ON_SPHERES, "von Mises, T^2", "wrapped normal, T^2", "Dirichlet, 4 shares")


def many() -> None:
    """All laws as independent sites of one model."""
    for name, (n, log_density) in ON_SPHERES.items():
        pyro.factor(f"density of {name}", log_density(pyro.sample(name, SphericalUniform(n - 1, **DOUBLE))))
    pyro.sample("von Mises, T^2", VonMises(MEAN, KAPPA))
    pyro.sample("wrapped normal, T^2", WrappedNormal(Torus(2), MEAN, SPREAD))
    pyro.sample("Dirichlet, 4 shares", dist.Dirichlet(CONCENTRATION))


def waves(angles: Tensor) -> Tensor:
    """First and second moments of centred angles."""
    x = angles - MEAN
    return torch.cat([x.cos(), x.sin(), (2 * x).cos(), torch.cos(x[..., :1] - x[..., 1:])], -1)


def errors(draws: dict[str, Tensor]) -> dict[str, float]:
    """The largest error of each law in Monte Carlo standard errors."""
    zero, kappa = torch.zeros(2, **DOUBLE), KAPPA.numpy()
    mean = CONCENTRATION / CONCENTRATION.sum()
    square = mean * (CONCENTRATION + 1) / (CONCENTRATION.sum() + 1)
    first, second = (torch.from_numpy(ive(k, kappa) / ive(0, kappa)) for k in (1, 2))
    found = {name: score(moments(draws[name]), exact_moments(f, *grid(n))) for name, (n, f) in ON_SPHERES.items()}
    angles, wrapped = "von Mises, T^2", "wrapped normal, T^2"
    found[angles] = score(waves(draws[angles]), torch.cat([first, zero, second, first.prod()[None]]))
    powers = torch.tensor([0.5, 0.5, 0.0, 0.0, 2.0, 2.0, 1.0], **DOUBLE)
    powers = (-(SPREAD**2) * powers).exp() * torch.tensor([1, 1, 0, 0, 1, 1, 1])
    found[wrapped] = score(waves(draws[wrapped]), powers)
    shares = draws["Dirichlet, 4 shares"]
    found["Dirichlet, 4 shares"] = score(torch.cat([shares, shares**2], -1), torch.cat([mean, square]))
    return found


def score(x: Tensor, expected: Tensor) -> float:
    """The largest of the errors of means, in standard errors."""
    size = effective_size(x[None]).clamp(max=len(x))
    return float(((x.mean(0) - expected) / (x.std(0) / size.sqrt())).abs().max())


def exactness(kernel: type, draws: int) -> dict[str, float]:
    """`errors` of one run."""
    pyro.set_rng_seed(0)
    mcmc = MCMC(kernel(many, jit_compile=True), num_samples=draws, warmup_steps=min(400, draws), disable_progbar=True)
    with pyro.validation_enabled(False):
        mcmc.run()
    return errors(mcmc.get_samples())


# Tables


def efficiency(arguments: argparse.Namespace) -> None:
    """Print effective draws per gradient."""
    print(
        "| n | GeodesicNUTS | GeodesicHMC | NUTS through SphereReparam | GeodesicNUTS / NUTS |\n|---|---|---|---|---|"
    )
    for n in arguments.sizes:
        sizes = (n, arguments.draws, arguments.seeds, arguments.warm_up)
        found = [per_gradient(sampler, *sizes) for sampler in ("GeodesicNUTS", "GeodesicHMC", "NUTS")]
        cells = [f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}" for values in found]
        ratio = statistics.mean(found[0]) / statistics.mean(found[2])
        print(f"| {n} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def slices(arguments: argparse.Namespace) -> None:
    """Print effective draws per second, in turn by seed."""
    print("| seed | GeodesicNUTS | geosss, shrinkage | geosss, rejection |\n|---|---|---|---|")
    for seed in range(arguments.seeds):
        ours = run("GeodesicNUTS", 50, arguments.draws, seed, arguments.warm_up)
        theirs = [slice_run(kind, 50, 10 * arguments.draws, seed) for kind in SLICES]
        print(f"| {seed} | {ours.effective / ours.seconds:.0f} | {theirs[0]:.1f} | {theirs[1]:.1f} |", flush=True)


def cost(arguments: argparse.Namespace) -> None:
    """Print microseconds for each gradient, best of 200, in turn."""
    print("| n | GeodesicNUTS | the gradient alone | Pyro's NUTS |\n|---|---|---|---|")
    for n in arguments.sizes:
        calls = steps(n)
        best = dict.fromkeys(calls, math.inf)
        for _ in range(200):
            for name, call in calls.items():
                began = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - began)
        print(f"| {n} | " + " | ".join(f"{5e5 * seconds:.0f}" for seconds in best.values()) + " |", flush=True)


def exact(arguments: argparse.Namespace) -> None:
    """Print standard errors."""
    found = [exactness(kernel, arguments.draws) for kernel in (GeodesicNUTS, GeodesicHMC)]
    print("| law | GeodesicNUTS | GeodesicHMC |\n|---|---|---|")
    for name, value in found[0].items():
        print(f"| {name} | {value:.2f} | {found[1][name]:.2f} |")


TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "efficiency": efficiency,
    "slice": slices,
    "cost": cost,
    "exact": exact,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 10, 50, 200])
    parser.add_argument("--draws", type=int, default=1500)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    TABLES[arguments.table](arguments)


if __name__ == "__main__":
    main()
