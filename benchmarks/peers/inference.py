"""Geodesic kernels beside Pyro's NUTS through SphereReparam and geosss' slice samplers; moments against exact ones."""

import statistics
from collections.abc import Iterator, Mapping
from functools import partial

from manifoldflow.inference import GeodesicHMC, GeodesicNUTS

from .. import inference as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM, PLAIN = "Inference", "NUTS through SphereReparam"
SLICES = {f"geosss, {kind} slice sampler": kind for kind in script.SLICES}


def efficiency(n: int, draws: int, seeds: int) -> dict[str, float]:
    """Effective draws per gradient evaluation, means over seeds."""
    samplers = {"ours": "GeodesicNUTS", "our GeodesicHMC": "GeodesicHMC", PLAIN: "NUTS"}
    return {
        name: statistics.mean(script.per_gradient(kind, n, draws, seeds, draws // 2)) for name, kind in samplers.items()
    }


def speed(draws: int, seeds: int) -> Mapping[str, float | str]:
    """Effective draws per second, means over seeds."""
    runs = [script.run("GeodesicNUTS", 50, draws, seed, draws // 2) for seed in range(seeds)]
    found: dict[str, float | str] = {"ours": statistics.mean(one.effective / one.seconds for one in runs)}
    for name, kind in SLICES.items():
        try:
            found[name] = statistics.mean(script.slice_run(kind, 50, 10 * draws, seed) for seed in range(seeds))
        except ImportError:
            found[name] = "not installed"
    return found


def exact(setting: Setting) -> Iterator[Score]:
    """A row for each law and kernel; one run has them all."""
    found: dict[type, dict[str, float]] = {}

    def largest(kernel: type, name: str) -> dict[str, float]:
        if kernel not in found:
            found[kernel] = script.exactness(kernel, setting.pick(2000, 20))
        return {"ours": found[kernel][name]}

    for kernel in (GeodesicNUTS, GeodesicHMC):
        for name in script.LAWS:
            yield Score(
                ROOM,
                f"{name}, {kernel.__name__}",
                partial(largest, kernel, name),
                goals=(Goal("ours", at_most=4),),
                table="Exactness (means and second moments: standard errors from the exact ones, the largest)",
            )


def cases(setting: Setting) -> Iterator[Case | Score]:
    """Draws per gradient, draws per second, seconds per gradient, exactness."""
    draws, seeds = setting.pick(800, 20), setting.pick(2, 1)
    for n in setting.pick((3, 10, 50, 200), (3,)):
        yield Score(
            ROOM,
            f"Fisher-Bingham, n = {n}",
            partial(efficiency, n, draws, seeds),
            (PLAIN, "our GeodesicHMC"),
            goals=(Goal(f"ours / {PLAIN}", at_least=2),),
            table="Effective draws per gradient evaluation of GeodesicNUTS (fewest over coordinates and squares)",
        )
    yield Score(
        ROOM,
        "Fisher-Bingham, n = 50",
        partial(speed, draws, seeds),
        tuple(SLICES),
        goals=tuple(Goal(f"ours / {name}", at_least=5) for name in SLICES),
        table="Effective draws per second of GeodesicNUTS",
    )
    for n in setting.pick((3, 50, 200), (3,)):
        yield Case(
            ROOM,
            f"two gradients, n = {n}",
            partial(script.steps, n),
            ("Pyro NUTS",),
            floor="the gradients of the model alone, compiled as in the kernels",
            table="Seconds of a step of GeodesicNUTS",
        )
    yield Case(
        ROOM,
        "a direction given 60 observations, von Mises-Fisher guide",
        script.variational,
        ("Normal guide",),
        goals=(Goal("ours / Normal guide", at_most=2.0),),
        table="A step of SVI, beside that of a vector with a Normal guide",
    )
    yield from exact(setting)
