"""What a comparison is, and how it is measured: ours, its peers and a floor, call by call in turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Case", "Goal", "Row", "Score", "Setting", "measure", "score"]

OURS, FLOOR = "ours", "floor"
Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Setting:
    """How large the problems are, and where they run."""

    quick: bool = False
    device: str = "cpu"
    memory: bool = True

    def pick(self, full: Any, quick: Any) -> Any:
        """The size for this setting."""
        return quick if self.quick else full

    @property
    def timer(self) -> Callable[[], float]:
        """Processor time on one thread, which does not count what neighbours take; wall time on a device."""
        return time.process_time if self.device == "cpu" else time.perf_counter

    def finished(self, call: Callable[[], object]) -> Callable[[], object]:
        """The call, returning only when the device has done its work."""
        if not self.device.startswith("cuda"):
            return call

        def run() -> object:
            result = call()
            torch.cuda.synchronize()
            return result

        return run


@dataclass(frozen=True)
class Goal:
    """A bound on a quantity of a row: "peer / ours" (the fastest peer), "NAME / ours", "ours / floor", "ours / NAME"
    or "ours".
    """

    quantity: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Case:
    """Calls that do the same work.

    Args:
        room: Heading on the page.
        name: What is computed, with sizes.
        build: Makes inputs and calls, keyed "ours", "floor" and by peer; a peer that is not installed is left out.
        peers: Who should be there.
        floor: What the floor is.
        goals: What was aimed at.
        table: Heading of the table inside the room.
        memory: Whether peak memory is measured too.
        times: How many times its own part a peer would do for the whole work: a call of a slow peer may do a part.
        same: Tolerance, relative to the largest entry, within which the results agree; None if they are random.
    """

    room: str
    name: str
    build: Callable[[], Calls]
    peers: tuple[str, ...]
    floor: str = ""
    goals: tuple[Goal, ...] = ()
    table: str = "Speed"
    memory: bool = False
    times: Mapping[str, float] = field(default_factory=dict)
    same: float | None = None


@dataclass(frozen=True)
class Score:
    """Figures that `measure` finds by itself: errors, shares, or seconds until something is reached.

    A figure that could not be had is given as a text that says why.
    """

    room: str
    name: str
    measure: Callable[[], Mapping[str, float | str]]
    peers: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    table: str = "Accuracy"
    seconds: bool = False


@dataclass
class Row:
    """A line of the page; `gaps` says why a figure is missing, `memory` holds MiB."""

    room: str
    table: str
    name: str
    ours: float
    peers: dict[str, float]
    floor: float | None
    floor_name: str
    goals: list[dict[str, Any]]
    gaps: dict[str, str]
    seconds: bool = True
    memory: dict[str, float] = field(default_factory=dict)


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    group: str
    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Callable[[], object], **options: Any) -> Any:
        """Run and time the target."""


def reason(error: Exception) -> str:
    """One line on why a peer has no figure."""
    text = str(error).strip().splitlines()
    return f"fails ({type(error).__name__}: {text[0][:80]})" if text else f"fails ({type(error).__name__})"


def measure(case: Case, benchmark: Benchmark, setting: Setting, budget: float = 4.0) -> Row:
    """Medians of rounds in which everybody has one call, ours last, under pytest-benchmark's clock."""
    torch.manual_seed(0)
    calls = {name: setting.finished(call) for name, call in case.build().items()}
    gaps = {name: "not installed" for name in case.peers if name not in calls}
    first: dict[str, float] = {}
    expected = calls[OURS]()
    for name in list(calls):
        try:
            began = setting.timer()
            result = calls[name]()
            first[name] = setting.timer() - began
        except Exception as error:
            if name in (OURS, FLOOR):
                raise
            gaps[name] = reason(error)
            del calls[name]
            continue
        if case.same is not None and name != FLOOR:
            agree(name, expected, result, case.same)
        del result
    rounds = 2 if setting.quick else round(min(15, max(1, budget / max(sum(first.values()), 1e-9))))
    taken: dict[str, list[float]] = {name: [] for name in calls if name != OURS}

    def others() -> None:
        for name, times in taken.items():
            began = setting.timer()
            calls[name]()
            times.append(setting.timer() - began)

    benchmark.group = case.room
    benchmark.pedantic(calls[OURS], setup=others, rounds=rounds)
    medians = {name: statistics.median(times) * case.times.get(name, 1.0) for name, times in taken.items()}
    floor = medians.pop(FLOOR, None)
    row = Row(
        room=case.room,
        table=case.table,
        name=case.name,
        ours=benchmark.stats.stats.median,
        peers=medians,
        floor=floor,
        floor_name=case.floor,
        goals=[asdict(goal) for goal in case.goals],
        gaps=gaps,
    )
    benchmark.extra_info["row"] = asdict(row)
    return row


def agree(name: str, ours: object, theirs: object, tolerance: float) -> None:
    """Raise if a peer computed something else: then the times compare nothing."""
    assert isinstance(ours, Tensor)
    found = torch.as_tensor(theirs).to(ours).reshape(ours.shape)  # a time axis of length one may be missing
    apart = ((found - ours).abs().max() / ours.abs().max()).item()
    if not apart <= tolerance:
        raise AssertionError(f"{name} and ours differ by {apart:.1e} of the largest entry, more than {tolerance:.1e}")


def score(case: Score, benchmark: Benchmark) -> Row:
    """The figures of a score as a row."""
    torch.manual_seed(0)
    benchmark.group = case.room
    found = dict(benchmark.pedantic(case.measure, rounds=1))
    ours = found.pop(OURS)
    if isinstance(ours, str):
        raise AssertionError(f"{case.name}: no figure of ours: {ours}")
    gaps = {name: why for name, why in found.items() if isinstance(why, str)}
    gaps |= {name: "not installed" for name in case.peers if name not in found}
    row = Row(
        room=case.room,
        table=case.table,
        name=case.name,
        ours=ours,
        peers={name: value for name, value in found.items() if not isinstance(value, str)},
        floor=None,
        floor_name="",
        goals=[asdict(goal) for goal in case.goals],
        gaps=gaps,
        seconds=case.seconds,
    )
    benchmark.extra_info["row"] = asdict(row)
    return row
