"""The von Mises-Fisher distribution beside scipy and geomstats: normaliser, sampling, accuracy."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch

from manifoldflow import special

from .. import distributions as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Distributions"
RANDN = "torch.randn of as many numbers, normalised"


def normalisers(count: int, device: str) -> dict[str, Callable[[], object]]:
    """The log normaliser with its derivative, beside one Bessel function of scipy."""
    ive, exp, both = script.normalizers(785, count, device).values()
    return {"ours": both, "scipy.special.ive": ive, "floor": exp}


def compiled(count: int, device: str) -> dict[str, Callable[[], object]]:
    """The same under torch.compile."""
    _, exp, both = script.normalizers(785, count, device).values()
    return {"ours": torch.compile(both), "ours, eager": both, "floor": exp}


def sampling(n: int, draws: int, names: tuple[str, ...], device: str) -> dict[str, Callable[[], object]]:
    """Draws at kappa = n."""
    samplers = script.samplers(n, device)
    return {name: partial(samplers[name], draws) for name in ("ours", "floor", *names)}


def speed(setting: Setting) -> Iterator[Case]:
    """The normaliser, and sampling as n grows."""
    count = setting.pick(200_000, 100)
    work = f"log normaliser and its derivative, n = 785, {count:,} concentrations, float64"
    yield Case(
        ROOM,
        work,
        partial(normalisers, count, setting.device),
        ("scipy.special.ive",),
        "torch.exp",
        (Goal("scipy.special.ive / ours", at_least=3.0),),
        memory=True,
    )
    if not setting.quick:
        yield Case(
            ROOM,
            f"{work}, under torch.compile",
            partial(compiled, count, setting.device),
            ("ours, eager",),
            "torch.exp",
            (Goal("ours, eager / ours", at_least=3.0),),
        )
    everybody: tuple[str, ...] = ("geomstats", "scipy")
    sizes = [(3, 10_000, everybody, 2.0), (784, 10_000, everybody, 1.0), (3072, 10_000, (), 0.8)]
    sizes.append((3072, 500, everybody, None))  # as many as scipy draws in seconds
    for n, draws, names, goal in setting.pick(sizes, [(3, 10, everybody, 4.0)]):
        yield Case(
            ROOM,
            f"{draws:,} draws, kappa = n = {n:,}, float32",
            partial(sampling, n, draws, names, setting.device),
            names,
            RANDN,
            () if goal is None else (Goal("ours / floor", at_most=goal),),
            table="Sampling, and its growth with n",
            memory=n == 784,
        )


@cache
def errors(n: int) -> tuple[dict[str, float], dict[str, float], int]:
    """The script's table, one dimension."""
    return script.errors(n, script.reference_rows()[n])


def log_normaliser(n: int) -> dict[str, float | str]:
    """Beside scipy's, where that is finite."""
    worst, _, failed = errors(n)
    return {"ours": worst["log_normalizer"], "scipy": f"inf or NaN in {failed} of 11" if failed else worst["scipy"]}


def largest(quantity: str, single: bool, dimensions: list[int]) -> dict[str, float]:
    """Over all dimensions."""
    return {"ours": max(errors(n)[single][quantity] for n in dimensions)}


def mean_cosine(n: int, draws: int) -> dict[str, float | str]:
    """Distance of the mean cosine of draws to the mean direction from A(n), in standard errors."""
    loc, exact = script.unit(n), special.vmf_mean_length(torch.tensor(float(n), dtype=torch.float64), n)
    found: dict[str, float | str] = {}
    for name, draw in script.samplers(n).items():
        if name != "floor":
            try:
                cosine = torch.as_tensor(draw(draws)).double() @ loc
            except Exception as failure:
                found[name] = f"fails ({type(failure).__name__})"
                continue
            found[name] = ((cosine.mean() - exact).abs() / cosine.std() * draws**0.5).item()
    return found


def accuracy(setting: Setting) -> Iterator[Score]:
    """Against 60-digit references."""
    table = "Accuracy (largest error over 11 concentrations, denominator max(1, |value|), against 60 digits)"
    dimensions = setting.pick(list(script.reference_rows()), [3])
    for n in setting.pick([3, 100, 785, 3073, 12_289, 196_609], dimensions):
        yield Score(
            ROOM,
            f"log normaliser, float64, n = {n:,}",
            partial(log_normaliser, n),
            ("scipy",),
            (Goal("ours", at_most=1e-14),),
            table,
        )
    bounds = {"log_prob": 1e-14, "mean_resultant_length": 1e-14, "entropy": 1e-14}
    for single, slack in ((False, 1.0), (True, 1e8)):
        for quantity, bound in (bounds if single else bounds | {"mean_resultant_length_derivative": 1e-12}).items():
            yield Score(
                ROOM,
                f"{quantity}, {'float32' if single else 'float64'}, all n from {dimensions[0]} to {dimensions[-1]:,}",
                partial(largest, quantity, single, dimensions),
                goals=(Goal("ours", at_most=bound * slack),),
                table=table,
            )
    for n in setting.pick([3, 100], [3]):
        draws = setting.pick(5000, 50)
        yield Score(
            ROOM,
            f"kappa = n = {n}, {draws:,} draws",
            partial(mean_cosine, n, draws),
            ("geomstats", "scipy"),
            (Goal("ours", at_most=4.0),),
            "Samplers (mean cosine to the mean direction: standard errors from its exact value)",
        )


def cases(setting: Setting) -> list[Case | Score]:
    """All of them."""
    return [*speed(setting), *accuracy(setting)]
