"""Accuracy, speed and growth of the sphere's operations, beside geomstats and geoopt, in one process.

    python benchmarks/geometry.py accuracy    relative errors against 50-digit references
    python benchmarks/geometry.py speed       medians, as ratios within this process
    python benchmarks/geometry.py small       the time of small batches, as geoopt's over ours
    python benchmarks/geometry.py growth      how the cost grows with n and d: a table, and a plot with --plot FILE

geomstats runs on the same tensors through its own classes. Medians are over interleaved rounds, so that a busy
neighbour disturbs all of them alike. Needs: pip install "manifoldflow[bench]"; without geoopt its columns stay empty.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import cache

import mpmath
import torch
from mpmath import mp
from torch import Tensor

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.manifolds import Hypersphere

try:
    import geoopt
except ImportError:
    geoopt = None
sphere = geoopt and geoopt.Sphere()

mp.dps = 50
Call = Callable[[], object]


def medians(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call over interleaved rounds, after one warm-up."""
    # Processor time does not count what neighbours take; with several threads only wall time means anything.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(t) for name, t in times.items()}


def sphere_data(
    rows: int, n: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[Tensor, Tensor, Tensor]:
    """Uniform points x, y and tangent vectors v of norm about 1 at x."""
    space = Hypersphere(n - 1)
    rng = torch.Generator().manual_seed(0)
    x, y = (space.random_point(rows, dtype=dtype, generator=rng) for _ in range(2))
    v = space.random_tangent_vec(x, generator=rng) / n**0.5
    return x.to(device), y.to(device), v.to(device)


def geoopt_slerp(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """geoopt's geodesic: exp of a fraction of the log."""
    return sphere.expmap(x, t * sphere.logmap(x, y))


def installed(calls: dict[str, Call]) -> dict[str, Call]:
    """Without geoopt's, where it is not installed."""
    return {name: call for name, call in calls.items() if name != "geoopt" or geoopt is not None}


@cache
def compiled_dist(n: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Ours, compiled when it is first called."""
    return torch.compile(Hypersphere(n - 1).metric.dist)


def operations(
    rows: int, n: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> dict[str, dict[str, Call]]:
    """The calls to compare for points of one shape, by operation and library."""
    x, y, v = sphere_data(rows, n, dtype, device)
    t = torch.tensor([0.3], dtype=dtype, device=device)
    ours, theirs = Hypersphere(n - 1).metric, GeomstatsHypersphere(n - 1).metric
    calls: dict[str, dict[str, Call]] = {
        "exp": {
            "ours": lambda: ours.exp(v, x),
            "geomstats": lambda: theirs.exp(v, x),
            "geoopt": lambda: sphere.expmap(x, v),
        },
        "log": {
            "ours": lambda: ours.log(y, x),
            "geomstats": lambda: theirs.log(y, x),
            "geoopt": lambda: sphere.logmap(x, y),
        },
        "dist": {
            "ours": lambda: ours.dist(x, y),
            "compiled": lambda: compiled_dist(n)(x, y),
            "geomstats": lambda: theirs.dist(x, y),
            "geoopt": lambda: sphere.dist(x, y),
        },
        # geomstats' own geodesic is a Python loop over pairs, timed below: here, exp of a fraction of its log
        "slerp": {
            "ours": lambda: ours.geodesic(x, y)(t),
            "geomstats": lambda: theirs.exp(t * theirs.log(y, x), x),
            "geoopt": lambda: geoopt_slerp(x, y, t),
        },
    }
    return {name: installed({"add": lambda: torch.add(x, y), **group}) for name, group in calls.items()}


def batched_geodesic(pairs: int = 1000, device: str = "cpu") -> dict[str, Call]:
    """1,000 pairs x 5 times in R^64."""
    x, y, _ = sphere_data(pairs, 64, device=device)
    t = torch.linspace(0, 1, 5, device=device)
    ours, theirs = Hypersphere(63).metric, GeomstatsHypersphere(63).metric
    return installed(
        {
            "add": lambda: torch.add(x, y),
            "ours": lambda: ours.geodesic(x, y)(t),
            "geomstats": lambda: theirs.geodesic(x, y)(t),
            "geoopt": lambda: geoopt_slerp(x[:, None], y[:, None], t[:, None]),
        }
    )


def speed(rounds: int) -> None:
    """Print the speed table."""
    print(f"float32, {torch.get_num_threads()} thread(s), medians of {rounds} interleaved rounds, milliseconds")
    print("| shape | operation | torch.add | ours | compiled | geomstats | geoopt | best peer / ours | ours / add |")
    print("|---|---|---|---|---|---|---|---|---|")
    for rows, n in ((100_000, 16), (10_000, 3072)):
        for name, calls in operations(rows, n).items():
            print_speed(f"{rows} x {n}", name, medians(calls, rounds))
    took = medians(batched_geodesic(), max(3, rounds // 3))
    print_speed("1000 x 5 times x 64", "batched geodesic", took)
    print(f"\nbatched geodesic: geomstats / ours = {took['geomstats'] / took['ours']:.0f}")


def small(rounds: int) -> None:
    """Print how small batches compare with geoopt: best times of short interleaved runs, since other load only adds."""
    if geoopt is None:
        raise SystemExit("small: geoopt is needed; install it with: pip install geoopt")
    print("| dtype | shape | exp | log | dist | slerp |\n|---|---|---|---|---|---|")
    for dtype in (torch.float32, torch.float64):
        for rows, n in ((30, 3), (10, 64), (1000, 4), (1000, 64)):
            cells = []
            for group in operations(rows, n, dtype=dtype).values():
                pair = group["ours"], group["geoopt"]
                ours, theirs = (min(times) for times in zip(*(map(microseconds, pair) for _ in range(10 * rounds))))
                cells.append(f"{theirs / ours:.2f} ({ours:.0f} us)")
            print(f"| {str(dtype).removeprefix('torch.')} | {rows} x {n} | {' | '.join(cells)} |", flush=True)


def microseconds(call: Call, repeats: int = 10) -> float:
    """Of one call, over a few."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return 1e6 * (time.perf_counter() - start) / repeats


def print_speed(shape: str, name: str, took: dict[str, float]) -> None:
    """One row of the speed table."""
    cells = [f"{took[k]:.2f}" if k in took else "" for k in ("add", "ours", "compiled", "geomstats", "geoopt")]
    best = min(took[k] for k in ("geomstats", "geoopt") if k in took)
    print(f"| {shape} | {name} | {' | '.join(cells)} | {best / took['ours']:.2f} | {took['ours'] / took['add']:.2f} |")


def exact_angle(x: list, y: list) -> mpmath.mpf:
    """2 atan2(|x - y|, |x + y|)."""
    d = mpmath.sqrt(mpmath.fsum((a - b) ** 2 for a, b in zip(x, y)))
    s = mpmath.sqrt(mpmath.fsum((a + b) ** 2 for a, b in zip(x, y)))
    return 2 * mpmath.atan2(d, s)


def exact_log(x: list, y: list) -> list:
    """Log of the normalised vectors."""
    x, y = ([a / mpmath.sqrt(mpmath.fdot(z, z)) for a in z] for z in (x, y))
    c = mpmath.fdot(x, y)
    u = [b - c * a for a, b in zip(x, y)]
    scale = exact_angle(x, y) / mpmath.sqrt(mpmath.fdot(u, u))
    return [scale * a for a in u]


ANGLES = {
    torch.float32: ["1e-4", "1e-3", "1e-2", "1", "pi/2", "pi-1e-2", "pi-1e-3", "pi-1e-4"],
    torch.float64: ["1e-12", "1e-9", "1e-6", "1e-3", "1", "pi/2", "pi-1e-3", "pi-1e-6", "pi-1e-9"],
}


def errors(dtype: torch.dtype, label: str, seeds: int = 20, n: int = 16) -> dict[str, list[float]]:
    """Worst relative errors of dist and log over `seeds` pairs in R^n at an angle, by library."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # geomstats creates its constants in this
    ours, theirs = Hypersphere(n - 1).metric, GeomstatsHypersphere(n - 1).metric
    theta = mp.mpf(label[3:]) if label.startswith("pi-") else mp.pi / 2 if label == "pi/2" else mp.mpf(label)
    cos, sin = float(mpmath.cos(theta)), float(mpmath.sin(theta))
    sign = -1 if label.startswith("pi-") else 1
    worst: dict[str, list[float]] = {}
    for seed in range(seeds):
        rng = torch.Generator().manual_seed(seed)
        x, e = torch.linalg.qr(torch.randn(n, 2, dtype=torch.float64, generator=rng))[0].mT
        x, y = x.to(dtype), (sign * abs(cos) * x + sin * e).to(dtype)
        xs, ys = ([mpmath.mpf(v) for v in z.double().tolist()] for z in (x, y))
        angle, log = exact_angle(xs, ys), exact_log(xs, ys)
        results = {"ours": (ours.dist(x, y), ours.log(y, x)), "geomstats": (theirs.dist(x, y), theirs.log(y, x))}
        if geoopt is not None:
            results["geoopt"] = sphere.dist(x, y), sphere.logmap(x, y)
        for name, (d, u) in results.items():
            miss = [mpmath.mpf(a) - b for a, b in zip(u.double().tolist(), log)]
            found = float(abs(mpmath.mpf(float(d)) - angle) / angle), float(mpmath.norm(miss) / angle)
            worst[name] = [max(a, b) for a, b in zip(worst.get(name, [0.0, 0.0]), found)]
    torch.set_default_dtype(default)
    return worst


def accuracy() -> None:
    """Print the accuracy table: the worst of 20 random pairs in R^16, against the pair as rounded."""
    print("worst relative error of dist / log over 20 pairs in R^16, against 50 digits of the rounded inputs")
    print("| dtype | angle | ours | geomstats | geoopt |")
    print("|---|---|---|---|---|")
    for dtype, labels in ANGLES.items():
        for label in labels:
            worst = errors(dtype, label)
            cells = ["{:.0e} / {:.0e}".format(*worst[k]) if k in worst else "" for k in ("ours", "geomstats", "geoopt")]
            print(f"| {str(dtype)[6:]} | {label} | {' | '.join(cells)} |")


def growing(rows: int, n: int) -> dict[str, Call]:
    """Our operations on points of one shape."""
    x, y, v = (a.reshape(rows, n) for a in sphere_data(rows, n))
    metric, t = Hypersphere(n - 1).metric, torch.tensor([0.3])
    return {
        "torch.add": lambda: torch.add(x, y),
        "exp": lambda: metric.exp(v, x),
        "log": lambda: metric.log(y, x),
        "dist": lambda: metric.dist(x, y),
        "slerp": lambda: metric.geodesic(x, y)(t),
    }


def growth(rounds: int, plot: str | None) -> None:
    """Print, and plot, nanoseconds a coordinate against the number of points and the dimension."""
    print(f"float32, {torch.get_num_threads()} thread(s): nanoseconds a coordinate, medians of {rounds} rounds")
    print("| points | n | torch.add | exp | log | dist | slerp |")
    print("|---|---|---|---|---|---|---|")
    by_rows = [(10**k, 64) for k in range(6)]
    by_dim = [(1000, 4**k) for k in range(1, 8)]
    lines: dict[str, list[list[float]]] = {}
    for group, shapes in enumerate((by_rows, by_dim)):
        for rows, n in shapes:
            took = medians(growing(rows, n), rounds)
            cost = {name: 1e6 * ms / (rows * n) for name, ms in took.items()}
            print(f"| {rows} | {n} | " + " | ".join(f"{c:.2f}" for c in cost.values()) + " |")
            for name, c in cost.items():
                lines.setdefault(name, [[], []])[group].append(c)
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
        for name, groups in lines.items():
            for axis, shapes, costs in zip(axes, ([r for r, _ in by_rows], [n for _, n in by_dim]), groups):
                axis.loglog(shapes, costs, marker="o", label=name)
        axes[0].set(xlabel="points (n = 64)", ylabel="nanoseconds a coordinate")
        axes[1].set(xlabel="ambient dimension n (1,000 points)")
        axes[0].legend()
        figure.savefig(plot, dpi=150, bbox_inches="tight")
        print(f"wrote {plot}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["accuracy", "speed", "small", "growth"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", help="where to write the growth plot (PNG)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.table == "accuracy":
        accuracy()
    elif options.table == "speed":
        speed(options.rounds)
    elif options.table == "small":
        small(options.rounds)
    else:
        growth(options.rounds, options.plot)
