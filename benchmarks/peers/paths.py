"""Optimised paths beside the papers' recipe, stochman's spline and geomstats' PathStraightening."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor

from manifoldflow.interpolation import AdamStraightening, CurveEnergy, SobolevDescent, Trace, optimise
from tests.interpolation.curves.surfaces import CASES

from .. import paths as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Paths"
RECIPE, SPLINE, STRAIGHTENING = "papers' recipe", "stochman spline, Adam", "geomstats PathStraightening"


def problem(pairs: int, network: bool, device: str) -> tuple[CurveEnergy, Tensor, Tensor]:
    """The script's problem, on a device."""
    energy, start, end = script.problem(pairs, script.small_decoder().to(device) if network else None)
    return energy, start.to(device), end.to(device)


@cache
def race(pairs: int, network: bool, iterations: int, device: str) -> dict[str, Trace | str]:
    """The traces of all methods on the same pairs."""
    energy, start, end = problem(pairs, network, device)
    recipe = AdamStraightening(patience=10**9, max_iterations=iterations)
    methods: dict[str, Callable[[], Trace]] = {
        "ours": lambda: script.solved(energy, start, end, SobolevDescent()),
        RECIPE: lambda: script.solved(energy, start, end, recipe),
        SPLINE: lambda: script.spline(energy, start, end, min(600, iterations)),
    }
    traces: dict[str, Trace | str] = {}
    for name, run in methods.items():
        try:
            traces[name] = run()
        except ImportError:
            traces[name] = "not installed"
    return traces


def found(kind: str, *problem: object) -> dict[str, float | str]:
    """By method: "seconds" until within 1 % of the best (median of the pairs that get there), or their "share"."""
    traces = race(*problem)  # type: ignore[arg-type]
    lows = [trace.energy.min(1).values for trace in traces.values() if isinstance(trace, Trace)]
    best = torch.stack(lows).min(0).values
    figures: dict[str, float | str] = {}
    for name, trace in traces.items():
        if isinstance(trace, str):
            figures[name] = trace
            continue
        seconds = script.within(trace, best)
        there = seconds[seconds.isfinite()]
        if kind == "share":
            figures[name] = len(there) / len(seconds)
        elif len(there):
            figures[name] = there.median().item()
        else:
            figures[name] = "no pair gets there"
    return figures


def races(setting: Setting) -> Iterator[Score]:
    """Time until converged, and how many pairs do."""
    iterations = setting.pick(1500, 5)
    for pairs, network, goal in setting.pick([(256, False, 4.0), (50, True, 3.0)], [(3, False, 4.0)]):
        title = f"{pairs} pairs, {'20-64-784 decoder' if network else 'identity decoder'}"
        sooner = (Goal(f"{RECIPE} / ours", at_least=goal), Goal(f"{SPLINE} / ours", at_least=1.0))
        for kind, table, goals in (
            ("seconds", "Time until within 1 % of the best energy (median of the pairs that get there)", sooner),
            ("share", "Share of the pairs within 1 % of the best energy", (Goal("ours", at_least=1.0),)),
        ):
            yield Score(
                ROOM,
                title,
                partial(found, kind, pairs, network, iterations, setting.device),
                (RECIPE, SPLINE),
                goals,
                table,
                seconds=kind == "seconds",
            )


def straightening(ours: int, theirs: int, nodes: int, device: str) -> dict[str, float | str]:
    """Seconds a pair under the same energy; the peer takes one pair at a time."""
    from geomstats.numerics.geodesic import PathStraightening

    energy, start, end = problem(ours, True, device)
    clock = Setting(device=device).timer
    began = clock()
    reached = optimise(energy, start, end, segments=nodes).solution.energy
    figures: dict[str, float | str] = {"ours": (clock() - began) / ours}
    space = script.GeomstatsEuclidean(20)
    solver = PathStraightening(space, path_energy=lambda path: energy(path.to(start)).double(), n_nodes=nodes + 1)
    began = clock()
    try:
        curves = [solver._discrete_geodesic_bvp_single(end[i].double(), start[i].double()) for i in range(theirs)]
        lower = torch.stack([energy(curve.to(start)) for curve in curves])
    except Exception as failure:
        return figures | {STRAIGHTENING: f"fails ({type(failure).__name__})"}
    figures[STRAIGHTENING] = (clock() - began) / theirs
    worse = (reached[:theirs] / lower).max().item()
    return figures if worse <= 1.01 else figures | {STRAIGHTENING: f"ours ends {worse:.2f} times higher"}


def steps(pairs: int, count: int, device: str) -> dict[str, Callable[[], object]]:
    """A fixed number of steps of each solver."""
    energy, start, end = problem(pairs, False, device)
    ours, recipe = (
        SobolevDescent(tolerance=1e-12, max_iterations=count),
        AdamStraightening(patience=10**9, max_iterations=count),
    )
    return {
        "ours": lambda: script.solved(energy, start, end, ours),
        RECIPE: lambda: script.solved(energy, start, end, recipe),
    }


def truth(name: str, segments: int) -> dict[str, float]:
    """Relative error of the length, worst pair, on a surface whose geodesics are known."""
    case = CASES[name]()
    solver = SobolevDescent(tolerance=1e-10, max_iterations=3000, memory=20)
    path = optimise(case.energy, case.start, case.end, segments=segments, starts=case.starts, solver=solver)
    return {"ours": (path.solution.length / case.length - 1).abs().max().item()}


def cases(setting: Setting) -> list[Case | Score]:
    """All of them."""
    ours, theirs, nodes = setting.pick((64, 2, 50), (2, 1, 4))
    one_by_one = Score(
        ROOM,
        f"seconds a pair, 20-64-784 decoder, k = {nodes}; ours {ours} at once",
        partial(straightening, ours, theirs, nodes, setting.device),
        (STRAIGHTENING,),
        (Goal(f"{STRAIGHTENING} / ours", at_least=20.0),),
        "One pair at a time",
        seconds=True,
    )
    count = setting.pick(20, 2)
    growth = [
        Case(
            ROOM,
            f"{count} steps, {pairs} pairs, identity decoder",
            partial(steps, pairs, count, setting.device),
            (RECIPE,),
            table="Growth with the number of pairs (a step of ours does more; see above for what it is worth)",
            memory=pairs == 256,
        )
        for pairs in setting.pick((1, 16, 256), (2,))
    ]
    exact: list[Score] = [
        Score(
            ROOM,
            f"{name}, k = {k}",
            partial(truth, name, k),
            goals=(Goal("ours", at_most=1e-3),) if k == 50 else (),
            table="Accuracy (relative error of the length on known geodesics, worst pair; a goal at k = 50)",
        )
        for name in setting.pick(list(CASES), list(CASES)[:1])
        for k in setting.pick((25, 50, 100), (4,))
    ]
    return [*races(setting), one_by_one, *growth, *exact]
