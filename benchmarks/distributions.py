"""The figures of docs/distributions.md: accuracy, speed, sampling, gradient bias, and the interfaces that were checked.

    python benchmarks/distributions.py [accuracy] [normalizer] [sampling] [bias] [interfaces] [--compile]

Without a name all tables are printed. One thread; times are medians of interleaved runs in one process. Needs scipy.
"""

import argparse
import csv
import math
import statistics
import time
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import special as scipy_special
from scipy import stats

from manifoldflow import special
from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.charts import AdditiveLogRatio, IsometricLogRatio, StickBreaking
from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.manifolds import Hypersphere, Simplex

REFERENCE = Path(__file__).parents[1] / "tests" / "special" / "vmf_reference.csv"
QUANTITIES = ("log_normalizer", "mean_resultant_length", "entropy", "mean_resultant_length_derivative")


def unit(n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A fixed random direction."""
    v = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return (v / v.norm()).to(dtype)


def error(value: float, reference: Decimal) -> float:
    """|value - reference| / max(1, |reference|)."""
    return float(abs(Decimal(value) - reference) / max(Decimal(1), abs(reference)))


def log_prob_error(law: VonMisesFisher, log_normalizer: Decimal, kappa: float) -> float:
    """Error of log_prob at a draw; the chord of the given floats is summed exactly."""
    s = law.sample()
    chord = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(s.tolist(), law.loc.tolist()))
    bend = Decimal(kappa) * (1 - Decimal(chord.numerator) / chord.denominator / 2)
    return error(law.log_prob(s).item(), bend + log_normalizer)


def scipy_log_normalizer(n: int, kappa: float) -> float:
    """As in scipy.stats.vonmises_fisher."""
    order = n / 2 - 1
    return order * math.log(kappa) - n / 2 * math.log(2 * math.pi) - np.log(scipy_special.ive(order, kappa)) - kappa


def reference_rows() -> dict[int, list[dict[str, str]]]:
    """The reference grid by n."""
    rows: dict[int, list[dict[str, str]]] = {}
    for row in csv.DictReader(REFERENCE.read_text().splitlines()):
        rows.setdefault(int(row["ambient_dimension"]), []).append(row)
    return dict(sorted(rows.items()))


def errors(n: int, rows: list[dict[str, str]]) -> tuple[dict[str, float], dict[str, float], int]:
    """Largest errors in float64 (with scipy's) and in float32, and the number of rows where scipy has inf or NaN."""
    worst = dict.fromkeys([*QUANTITIES, "log_prob", "scipy"], 0.0)
    single = dict.fromkeys([*QUANTITIES, "log_prob"], 0.0)
    failed = 0
    for row in rows:
        kappa = float(row["concentration"])
        with localcontext() as context:
            context.prec = 50
            log_normalizer = Decimal(row["log_normalizer"])
            law = VonMisesFisher(unit(n), kappa)
            values = law.log_normalizer, law.mean_resultant_length, law.entropy(), law.cosine_variance
            for name, value in zip(QUANTITIES, values):
                worst[name] = max(worst[name], error(value.item(), Decimal(row[name])))
            worst["log_prob"] = max(worst["log_prob"], log_prob_error(law, log_normalizer, kappa))
            # The references are for the float64 concentration; float32 rounds it, so compare with float64 there.
            rounded = VonMisesFisher(unit(n, torch.float32), kappa)
            exact = VonMisesFisher(unit(n), float(rounded.concentration))
            values = rounded.log_normalizer, rounded.mean_resultant_length, rounded.entropy(), rounded.cosine_variance
            exacts = exact.log_normalizer, exact.mean_resultant_length, exact.entropy(), exact.cosine_variance
            for name, value, reference in zip(QUANTITIES, values, exacts):
                single[name] = max(single[name], error(value.item(), Decimal(reference.item())))
            at = Decimal(exact.log_normalizer.item())
            single["log_prob"] = max(single["log_prob"], log_prob_error(rounded, at, float(rounded.concentration)))
            with np.errstate(all="ignore"):
                theirs = scipy_log_normalizer(n, kappa)
            if math.isfinite(theirs):
                worst["scipy"] = max(worst["scipy"], error(theirs, log_normalizer))
            else:
                failed += 1
    return worst, single, failed


def accuracy() -> None:
    """Largest errors on the reference grid, by n, beside scipy."""
    print(
        "## Largest relative error (denominator max(1, |value|)) on the reference grid, 11 concentrations for each n\n"
    )
    names = ["log C", "log_prob", "A", "entropy", "A'"]
    heads = [*(f"{m} 64" for m in names), *(f"{m} 32" for m in names[:4]), "scipy log C", "scipy inf/NaN"]
    print("| n | " + " | ".join(heads) + " |")
    print("|" + "---:|" * (len(heads) + 1))
    torch.manual_seed(0)
    for n, rows in reference_rows().items():
        worst, single, failed = errors(n, rows)
        log_c, length, entropy, derivative = (worst[q] for q in QUANTITIES)
        cells = [log_c, worst["log_prob"], length, entropy, derivative]
        cells += [single["log_normalizer"], single["log_prob"], single["mean_resultant_length"], single["entropy"]]
        print(f"| {n:6d} | " + " | ".join(f"{c:7.1e}" for c in [*cells, worst["scipy"]]) + f" | {failed:2d}/11 |")


def interleaved(*runs: Callable[[], object], repeats: int = 11) -> list[float]:
    """Median seconds of each, run in turns."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(repeats):
        for run, spent in zip(runs, times):
            start = time.perf_counter()
            run()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]


def normalizers(n: int, count: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """The calls to compare on `count` concentrations up to 2n."""
    kappa = (1 + 2 * n * torch.rand(count, dtype=torch.float64, device=device)).requires_grad_()
    plain, array = kappa.detach(), kappa.detach().cpu().numpy()

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        value = special.vmf_log_partition(kappa, n)
        return value, torch.autograd.grad(value.sum(), kappa)[0]

    return {
        "scipy.special.ive, one call": lambda: scipy_special.ive(n / 2 - 1, array),
        "torch.exp": plain.exp,
        "log normaliser and derivative, eager": both,
    }


def normalizer(compiled: bool) -> None:
    """Time of the log normaliser with its derivative."""
    n, count = 785, 200_000
    runs = normalizers(n, count)
    both = runs["log normaliser and derivative, eager"]
    if compiled:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs["the same under torch.compile"] = torch.compile(both)
            runs["the same under torch.compile"]()
    times = interleaved(*runs.values())
    print(f"\n## n = {n}, {count} concentrations, float64\n")
    print("| | ns an element | scipy.special.ive takes |")
    print("|---|---:|---:|")
    for name, spent in zip(runs, times):
        print(f"| {name} | {spent / count * 1e9:.1f} | {times[0] / spent:.1f}x |")


def samplers(n: int, device: str = "cpu") -> dict[str, Callable[[int], object]]:
    """What draws the number of points that it is called with, at kappa = n, by library."""
    loc = unit(n, torch.float32).to(device)
    law, foreign = VonMisesFisher(loc, float(n)), GeomstatsHypersphere(n - 1)
    theirs = stats.vonmises_fisher(unit(n).numpy(), n)

    def floor(draws: int) -> torch.Tensor:
        x = torch.randn(draws, n, device=device)
        return x / x.norm(dim=-1, keepdim=True)

    return {
        "floor": floor,
        "ours": lambda draws: law.sample((draws,)),
        "geomstats": lambda draws: foreign.random_von_mises_fisher(mu=loc.double(), kappa=float(n), n_samples=draws),
        "scipy": theirs.rvs,
    }


def sampling() -> None:
    """Time of 10,000 draws over torch.randn + normalise."""
    print("\n## 10,000 draws at kappa = n, float32; time over that of torch.randn + normalise\n")
    print("| n | manifoldflow | geomstats | scipy | floor, ms |")
    print("|---:|---:|---:|---:|---:|")
    for n in (3, 784, 3072):
        draw = {name: partial(run, 10_000) for name, run in samplers(n).items()}
        base, ours = interleaved(draw["floor"], draw["ours"])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                geomstats = f"{interleaved(draw['floor'], draw['geomstats'], repeats=3)[1] / base:.1f}"
        except Exception as failure:
            geomstats = f"fails ({type(failure).__name__})"
        scipy_time = interleaved(draw["scipy"], repeats=1)[0]
        print(f"| {n} | {ours / base:.2f} | {geomstats} | {scipy_time / base:.1f} | {base * 1e3:.2f} |")


def bias() -> None:
    """The derivative of E[mu.s] by reparameterised draws beside A'."""
    print("\n## Reparameterised d E[mu.s] / d kappa, 20,000 draws (5,000 at n = 785)\n")
    print("| n | kappa | estimate | standard error | A'(kappa) | standard errors apart |")
    print("|---:|---:|---:|---:|---:|---:|")
    torch.manual_seed(0)
    for n in (2, 3, 5, 10, 100, 785):
        for ratio in (0.4, 3.0):
            kappa = torch.full((5_000 if n == 785 else 20_000,), ratio * n, dtype=torch.float64, requires_grad=True)
            cosine = (VonMisesFisher(unit(n), kappa).rsample() * unit(n)).sum(-1)
            (slopes,) = torch.autograd.grad(cosine.sum(), kappa)
            mean, spread = slopes.mean().item(), slopes.std().item() / len(slopes) ** 0.5
            exact = special.vmf_mean_length_derivative(kappa[:1].detach(), n).item()
            print(
                f"| {n} | {ratio * n:g} | {mean:.6g} | {spread:.1e} | {exact:.6g} | {abs(mean - exact) / spread:.2f} |"
            )


def interfaces() -> None:
    """What each distribution is and does, checked as it is printed, in float32 at n = 12,289 coordinates."""
    torch.manual_seed(0)
    n = 12_289
    loc, centre = unit(n, torch.float32), torch.full((n,), 1 / n)
    laws = [
        VonMisesFisher(loc, 1e4),
        PowerSpherical(loc, 1e4),
        SphericalUniform(n - 1),
        WrappedNormal(Hypersphere(n - 1), loc, 0.01),
        WrappedNormal(Simplex(n - 1, metric="aitchison"), centre, 0.5),
        Dirichlet(torch.full((n,), 0.5)),
        Gaussian(torch.zeros(n)),
    ]
    laws += [InChart(law) for law in laws]
    laws += [
        InChart(Dirichlet(torch.full((n,), 0.01)), chart(n - 1))
        for chart in (AdditiveLogRatio, IsometricLogRatio, StickBreaking)
    ]
    print(f"\n## Float32, {n} coordinates: samples meet the support, log_prob is finite, shapes follow expand\n")
    print("| distribution | support | samples pass | log_prob finite | expand, sample (2,) | has_rsample | manifold |")
    print("|---|---|---|---|---|---|---|")
    for law in laws:
        s = law.sample((8,))
        checks = bool(law.support.check(s).all()), bool(law.log_prob(s).isfinite().all())
        shape = law.expand((3,)).sample((2,)).shape == (2, 3, *law.event_shape)
        name = type(law).__name__ + (
            f"({type(law.base).__name__}, {type(law.chart).__name__})" if isinstance(law, InChart) else ""
        )
        print(f"| {name} | {law.support} | {checks[0]} | {checks[1]} | {shape} | {law.has_rsample} | {law.manifold} |")


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = ("accuracy", "normalizer", "sampling", "bias", "interfaces")
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(tables))
    parser.add_argument("--compile", action="store_true", help="also time torch.compile (needs a C++ compiler)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread")
    for table in options.tables or tables:
        if table not in tables:
            parser.error(f"table: expected one of {', '.join(tables)}, got {table}")
        arguments = (options.compile,) if table == "normalizer" else ()
        globals()[table](*arguments)


if __name__ == "__main__":
    main()
