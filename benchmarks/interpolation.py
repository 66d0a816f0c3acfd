"""Interpolation, measured: which method preserves which law, what paths cost, and the limits of bridges.

python benchmarks/interpolation.py laws      table method x base: KS distance at t = 0.25 and 0.5, d = 64, 784, 3072
python benchmarks/interpolation.py speed     samplers over torch.randn of the output, paths over writing the output
python benchmarks/interpolation.py limits    the Ornstein-Uhlenbeck bridge between short and long horizons
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher
from manifoldflow.interpolation import (
    METHODS,
    ExponentialPower,
    GaussianProcessBridge,
    Geodesic,
    Kernel,
    Linear,
    Matched,
    Matern,
    OrnsteinUhlenbeck,
    Periodic,
    Slerp,
    SquaredExponential,
    build_path,
    methods_for,
)
from manifoldflow.manifolds import Hypersphere


def statistic(base, points: Tensor) -> Tensor:
    """What the law is looked at by: the log-density, or a fixed coordinate where there is one density only."""
    return points[..., 0] if isinstance(base, SphericalUniform) else base.log_prob(points).double()


def ks_distance(found: Tensor, reference: Tensor) -> float:
    """Largest difference of two empirical distribution functions."""
    both = torch.cat([found, reference]).sort().values
    share = [torch.searchsorted(s.sort().values, both, right=True) / len(s) for s in (found, reference)]
    return (share[0] - share[1]).abs().max().item()


def laws(pairs: int, seed: int) -> None:
    """The statistic is named in the first column; "z" is its mean's distance in its own standard deviations."""
    torch.manual_seed(seed)
    threshold = 1.628 * math.sqrt(1 / pairs + 1 / (20 * pairs))
    print(
        f"KS distance to the base, {pairs} pairs, 1 % critical value {threshold:.3f} (larger: the law is not "
        f"preserved)\n"
    )
    print(
        f"{'base (statistic)':34s} {'method':18s}" + "".join(f"  d={d}: t=.25  t=.5    z(.5)" for d in (64, 784, 3072))
    )
    kinds = {
        "N(0, I) (log-density)": lambda d: Gaussian(torch.zeros(d)),
        "vMF, kappa = d (log-density)": lambda d: VonMisesFisher(-torch.eye(d + 1)[d], float(d)),
        "uniform sphere (a coordinate)": lambda d: SphericalUniform(d),
        "Dirichlet(2) (log-density)": lambda d: Dirichlet(torch.full((d + 1,), 2.0)),
    }
    for name, make in kinds.items():
        for method in methods_for(make(3)):
            if method == "langevin-bridge" or method == "brownian-bridge":  # laws of their own, not those of the base
                continue
            cells = []
            for d in (64, 784, 3072):
                base = make(d)
                start, end = base.sample((pairs,)), base.sample((pairs,))
                path = build_path(start, end, method=method, base=base)
                t = torch.tensor([0.25, 0.5])
                points = path.sample(t) if METHODS[method].random else path(t)
                reference = statistic(base, base.sample((20 * pairs,)))
                found = [statistic(base, points[:, i]) for i in range(2)]
                z = (found[1].mean() - reference.mean()) / reference.std()
                cells.append(
                    f"       {ks_distance(found[0], reference):.3f} {ks_distance(found[1], reference):.3f} {z:8.2f}"
                )
            print(f"{name:34s} {method:18s}" + "".join(cells))
        print()


def ratios(tasks: dict[str, Callable[[], object]], floor: str, repeats: int) -> dict[str, float]:
    """Medians of interleaved repeats over that of the floor."""
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(t) for name, t in times.items()}
    return {name: t / medians[floor] for name, t in medians.items()} | {"floor": medians[floor]}


KERNELS: dict[str, Kernel] = {
    "Ornstein-Uhlenbeck (goal 1.8)": OrnsteinUhlenbeck(),
    "squared exponential (goal 0.8)": SquaredExponential(0.5),
    "periodic (goal 0.8)": Periodic(2.7),
    "Matern 5/2": Matern(2.5),
    "Matern 3/2 (goal 4.5)": Matern(1.5),
    "exponential, alpha 1.5 (goal 4.5)": ExponentialPower(1.5),
    "exponential, alpha 0.5 (goal 4.5)": ExponentialPower(0.5),
}


def path_calls(pairs: int, m: int, n: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Paths on the sphere evaluated at m times, and the writing of as many numbers."""
    space = Hypersphere(n - 1)
    a, b = space.random_point(pairs).to(device), space.random_point(pairs).to(device)
    t = torch.linspace(0, 1, m, device=device)
    target = torch.empty(pairs, m, n, device=device)
    paths = {
        "linear": Linear(a, b),
        "slerp (goal 1.5)": Slerp(a, b),
        "geodesic, sphere (goal 1.5)": Geodesic(space, a, b),
        "matched, N(0, I)": Matched(None, a, b),
    }
    return {
        "torch.full": lambda: torch.full((pairs, m, n), 1.0, device=device),
        "fill_ in place": lambda: target.fill_(1.0),
        **{name: lambda path=path: path(t) for name, path in paths.items()},
    }


def speed(repeats: int) -> None:
    torch.set_num_threads(1)
    m, n, count = 1000, 512, 100
    t = torch.linspace(0, 1, m)
    start, end = torch.randn(n), torch.randn(n)
    tasks: dict[str, Callable[[], object]] = {"torch.randn": lambda: torch.randn(count, m, n)}
    for name, kernel in KERNELS.items():
        bridge = GaussianProcessBridge(start, end, kernel=kernel)
        tasks[name] = lambda bridge=bridge: bridge.sample(t, (count,))
    found = ratios(tasks, "torch.randn", repeats)
    print(
        f"Bridges: {count} paths, m = {m}, {n} coordinates, float32; over torch.randn ({1e3 * found.pop('floor'):.0f} "
        f"ms)"
    )
    for name, ratio in found.items():
        print(f"  {name:36s} {ratio:6.2f}")

    pairs, m, n = 1000, 50, 1024
    found = ratios(path_calls(pairs, m, n), "torch.full", repeats)
    print(
        f"\nPaths: {pairs} pairs, m = {m}, n = {n}, float32; over writing the output ({1e3 * found.pop('floor'):.0f} "
        f"ms)"
    )
    for name, ratio in found.items():
        print(f"  {name:36s} {ratio:6.2f}")


def limits(seed: int) -> None:
    torch.manual_seed(seed)
    n = 100_000
    z = torch.linalg.qr(torch.randn(n, 2, dtype=torch.float64)).Q.T * math.sqrt(n)
    t = torch.tensor([0.5], dtype=torch.float64)
    print("Ornstein-Uhlenbeck bridge k = exp(-|h|) between orthogonal points of norm sqrt n, at the midpoint")
    columns = [
        ("T", 6),
        ("|z|^2/n exact", 14),
        ("sampled", 9),
        ("weight of each end", 19),
        ("sampled", 9),
        ("off the line", 13),
    ]
    print(" ".join(f"{title:>{width}s}" for title, width in columns))
    for horizon in (1e-6, 0.1, 1.0, 2.0, 4.0, 8.0):
        bridge = GaussianProcessBridge(z[0], z[1], horizon=horizon)
        x = bridge.sample(t)[0]
        weight = bridge.mean(t)[0] @ z[0] / n
        square = bridge.variance(t).item() + 2 * weight.item() ** 2
        off = (x - z.mean(0)).square().mean().sqrt()
        print(
            f"{horizon:6g} {square:14.4f} {x.square().mean().item():9.4f} {weight.item():19.4f} "
            f"{(x @ z[0] / n).item():9.4f} {off.item():13.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["laws", "speed", "limits"])
    parser.add_argument("--pairs", type=int, default=400, help="pairs of end points (laws)")
    parser.add_argument("--repeats", type=int, default=7, help="interleaved repeats (speed)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.table == "laws":
        laws(options.pairs, options.seed)
    elif options.table == "speed":
        speed(options.repeats)
    else:
        limits(options.seed)


if __name__ == "__main__":
    main()
