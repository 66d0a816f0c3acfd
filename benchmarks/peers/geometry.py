"""The sphere's operations beside geomstats and geoopt: speed, growth, accuracy."""

import math
from collections.abc import Callable, Iterator
from functools import cache, partial

import torch

from .. import geometry as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Geometry"
PEERS = ("geomstats", "geoopt")
# Faster than the better peer by, at 100,000 x 16 and at 10,000 x 3072; over torch.add at 3072
GOALS = {"exp": 2.0, "slerp": 2.0, "log": 1.4, "dist": 1 / 1.6}


def build(operation: str, rows: int, n: int, device: str, ours: str = "ours") -> dict[str, Callable[[], object]]:
    """Calls of one operation; `ours` may be the compiled one."""
    calls = script.operations(rows, n, device)[operation]
    calls = calls | {"ours": calls[ours], "floor": calls["add"]}
    return {name: call for name, call in calls.items() if name in ("ours", "floor", *PEERS)}


def geodesics(pairs: int, device: str) -> dict[str, Callable[[], object]]:
    """Calls of the batched geodesic."""
    calls = script.batched_geodesic(pairs, device)
    return calls | {"floor": calls.pop("add")}


def speed(setting: Setting) -> Iterator[Case]:
    """All operations at a narrow and a wide shape."""
    for rows, n in setting.pick([(100_000, 16), (10_000, 3072)], [(50, 16)]):
        for operation, faster in GOALS.items():
            goals = [Goal("peer / ours", at_least=faster)]
            if n == 3072:
                goals.append(Goal("ours / floor", at_most=2.2))
            yield Case(
                ROOM,
                f"{operation}, {rows:,} x {n}",
                partial(build, operation, rows, n, setting.device),
                PEERS,
                "torch.add of as many numbers",
                tuple(goals),
                memory=n == 3072,
                same=1e-2,
            )
        if not setting.quick:
            yield Case(
                ROOM,
                f"dist under torch.compile, {rows:,} x {n}",
                partial(build, "dist", rows, n, setting.device, "compiled"),
                PEERS,
                "torch.add of as many numbers",
                (Goal("peer / ours", at_least=1.0),),
                same=1e-2,
            )
    pairs = setting.pick(1000, 10)
    yield Case(
        ROOM,
        f"geodesic, {pairs:,} pairs x 5 times, n = 64",
        partial(geodesics, pairs, setting.device),
        PEERS,
        "torch.add of the end points",
        (Goal("geomstats / ours", at_least=100.0),),
        same=1e-3,
    )


def growth(setting: Setting) -> Iterator[Case]:
    """The cost of exp and dist against the number of points and the dimension."""
    shapes = [(10, 64), (1000, 64), (100_000, 64), (1000, 4), (1000, 1024), (1000, 16_384)]
    for operation in ("exp", "dist"):
        for rows, n in setting.pick(shapes, [(10, 64)]):
            yield Case(
                ROOM,
                f"{operation}, {rows:,} x {n:,}",
                partial(build, operation, rows, n, setting.device),
                PEERS,
                "torch.add of as many numbers",
                table="Growth",
                same=1e-2,
            )


@cache
def errors(dtype: torch.dtype, angle: str, seeds: int) -> dict[str, list[float]]:
    """The script's table, one angle."""
    return script.errors(dtype, angle, seeds)


def column(index: int, dtype: torch.dtype, angle: str, seeds: int) -> dict[str, float]:
    """Errors of dist (0) or log (1)."""
    return {name: pair[index] for name, pair in errors(dtype, angle, seeds).items()}


def accuracy(setting: Setting) -> Iterator[Score]:
    """Relative errors at small, middle and nearly straight angles."""
    for dtype, all_angles in script.ANGLES.items():
        eps = torch.finfo(dtype).eps
        for angle in setting.pick(all_angles, all_angles[:1]):
            away = math.pi / 2 if angle == "pi/2" else float(angle.removeprefix("pi-"))
            bounds = 8 * eps, 8 * eps / min(away, math.pi - away)
            for index, (name, bound) in enumerate(zip(("dist", "log"), bounds)):
                yield Score(
                    ROOM,
                    f"{name}, {str(dtype)[6:]}, angle {angle}",
                    partial(column, index, dtype, angle, setting.pick(20, 2)),
                    PEERS,
                    (Goal("ours", at_most=bound),),
                    table="Accuracy (worst relative error of 20 pairs in R^16, against 50 digits)",
                )


def cases(setting: Setting) -> list[Case | Score]:
    """All of them."""
    return [*speed(setting), *growth(setting), *accuracy(setting)]
