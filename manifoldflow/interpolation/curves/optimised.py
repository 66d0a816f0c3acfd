"""Optimised paths: discrete curves of minimal energy between many pairs of points at once."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from ...errors import ConvergenceWarning
from ...manifolds import check_points
from ..paths.geodesic import Geodesic
from ..paths.lines import Linear
from ..paths.path import Path
from ..paths.points import pair_of_points
from .descent import SobolevDescent
from .domain import Domain
from .energy import CurveEnergy
from .solution import Solution, Status
from .starts import resampled

__all__ = ["OptimisedPath", "Solver", "Start", "optimise"]

Start = Literal["linear", "geodesic"] | Tensor | Path | Callable[[Tensor, Tensor, int], Tensor]


class Solver(Protocol):
    """What `optimise` needs of a solver; see `SobolevDescent` and `AdamStraightening`."""

    def minimise(
        self, energy: CurveEnergy, nodes: Tensor, *, finished: Callable[[int], None] | None = None
    ) -> Solution:
        """Minimise the energy of every row of nodes in the coordinates of the energy's domain."""


class OptimisedPath(Path):
    """A path through optimised nodes, evaluated between them along the domain (straight, or great-circle like).

    Attributes:
        nodes: Nodes `(*batch, k + 1, n)`.
        solution: Per pair (batch flattened): energy, length, realism, iterations, status with its reason, traces.
    """

    def __init__(self, energy: CurveEnergy, start: Tensor, end: Tensor, solution: Solution) -> None:
        super().__init__(start, end, space=energy.space)
        self.solution = solution
        self.nodes = solution.nodes.reshape(*self.batch_shape, *solution.nodes.shape[1:])
        self._domain = energy.domain
        self._inner = energy.domain.enter(self.nodes)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "segments": self.nodes.shape[-2] - 1, "solution": self.solution}

    def _points(self, t: Tensor) -> Tensor:
        segments = self.nodes.shape[-2] - 1
        times = t.expand(*self.batch_shape, t.shape[-1])
        position = times * segments
        index = position.detach().floor().clamp(0, segments - 1).long()
        share = (position - index)[..., None]
        where = index[..., None].expand(*index.shape, self.nodes.shape[-1])
        first, last = self._inner.gather(-2, where), self._inner.gather(-2, where + 1)
        points = self._domain.leave(self._domain.between(first, last, share))
        ends = times[..., None]
        points = torch.where(ends == 0, self.start[..., None, :], points)
        return torch.where(ends == 1, self.end[..., None, :], points)


def optimise(
    energy: CurveEnergy,
    start: Tensor,
    end: Tensor,
    *,
    segments: int = 50,
    starts: Start | Sequence[Start] = "linear",
    solver: Solver | None = None,
    coarse: int = 0,
    chunk: int | None = None,
    progress: bool | None = None,
) -> OptimisedPath:
    """Paths of minimal energy between every pair of points.

    A small decoder runs fastest, and on a busy machine many times faster, in one thread: `torch.set_num_threads(1)`,
    which the demo sets too; this function leaves the caller's setting alone.

    Args:
        energy: What is minimised; it knows the space, the decoder and the conformal factor.
        start: Points of the space, `(*batch, n)`, float32 or float64.
        end: Points of the same shape.
        segments: Number of segments k, at least 2.
        starts: Where to start: "linear", "geodesic" (of the energy's space), nodes `(*batch, m, n)`, a `Path`, or a
            callable of (start, end, segments) such as `GraphStart`. Of several, every pair keeps the best result.
        solver: `SobolevDescent()` unless given.
        coarse: How many times to halve the number of segments for a coarse solution to start from.
        chunk: How many pairs are solved at once, which bounds the memory; None for all.
        progress: Show a progress bar of finished pairs: True from the beginning, False never, None after two seconds.

    Returns:
        The path, with per pair its energy, length, realism, iterations, and whether it converged or why not. A pair for
        which the decoder or the index is not finite keeps its starting path and says so; the others finish. An
        interrupt (Ctrl-C) ends the run and keeps what is done.

    Raises:
        ValueError: Fewer than 2 segments, end points off the space or of infinite cost (zero density), an index outside
            [0, 1], nodes that do not fit, latents of a shape or dtype that the decoder or the index does not take.

    Warns:
        ConvergenceWarning: Pairs did not converge; it says how many, why, and the remedy. A result that was interrupted
            says so in its `status` only.
    """
    _check_counts(segments, coarse, chunk)
    start, end = pair_of_points(start, end, 1)
    if energy.space is not None:
        check_points(energy.space, start=start, end=end)
    first, last = (v.reshape(-1, v.shape[-1]).detach() for v in (start, end))
    if not len(first):
        return OptimisedPath(energy, start, end, _nothing(first, segments))
    size = chunk or len(first)
    _check_ends(energy, first, last, size)
    several = starts if isinstance(starts, Sequence) and not isinstance(starts, str) else [starts]
    if not several:
        raise ValueError("starts: expected at least one start, got none; use 'linear'")
    with _bar(len(first) * len(several) * (coarse + 1), show=progress) as finished:
        solution = _solved(solver or SobolevDescent(), energy, several, first, last, segments, coarse, size, finished)
    _warn(solution)
    return OptimisedPath(energy, start, end, solution)


def _check_counts(segments: int, coarse: int, chunk: int | None) -> None:
    if segments < 2:
        raise ValueError(f"segments: expected at least 2, got {segments}; the papers use 50")
    if coarse < 0 or segments >> coarse < 2:
        raise ValueError(f"coarse: expected halvings that leave at least 2 of {segments} segments, got {coarse}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1 pair, got {chunk}")


def _solved(
    solver: Solver,
    energy: CurveEnergy,
    starts: Sequence[Start],
    first: Tensor,
    last: Tensor,
    segments: int,
    coarse: int,
    chunk: int,
    finished: Callable[[int], None] | None,
) -> Solution:
    """Every pair from every start, `chunk` pairs at once; after an interrupt the rest is evaluated only."""
    parts = []
    interrupted = False
    for low in range(0, len(first), chunk):
        rows = slice(low, low + chunk)
        found: list[Solution] = []
        for one in starts if not interrupted else ():
            try:
                nodes = _starting_nodes(one, energy, first, last, rows, segments)
                found.append(_refined(solver, energy, nodes, coarse, finished))
                interrupted = _was_interrupted(found[-1])
            except KeyboardInterrupt:  # outside the solver, as in the search of a graph
                interrupted = True
            if interrupted:
                break
        if not found:
            found.append(_untried(energy, _starting_nodes("linear", energy, first, last, rows, segments)))
        parts.append(found[0] if len(starts) == 1 else Solution.best(found))
    return Solution.join(parts)


def _warn(solution: Solution) -> None:
    """Warn of pairs that did not converge, with the reason that most of them have."""
    missed = solution.status[~solution.converged & (solution.status != Status.INTERRUPTED)]
    if len(missed):
        reason = Status(int(missed.mode().values)).reason
        warnings.warn(
            f"optimise: {len(missed)} of {len(solution.status)} pairs did not converge: {reason}; path.solution.status "
            "and reasons() have the rest",
            ConvergenceWarning,
            stacklevel=3,
        )


def _nothing(points: Tensor, segments: int) -> Solution:
    """The solution for no pairs; decoders and indices need not take empty batches."""
    none, code = points.new_zeros(0), torch.zeros(0, dtype=torch.long, device=points.device)
    return Solution(points.new_zeros(0, segments + 1, points.shape[-1]), none, none, code, code)


def _check_ends(energy: CurveEnergy, start: Tensor, end: Tensor, chunk: int) -> None:
    """Raise where the decoder takes no such latents, or an end point has a value out of range or an infinite cost."""
    if energy.decoder is not None:
        with torch.no_grad(), _taken("decoder", start):
            energy.decoder(start[:1])
    if energy.conformal is None:
        return
    for name, points in (("start", start), ("end", end)):
        with torch.no_grad():
            with _taken("index", points):
                values = torch.cat([energy.conformal.value(part) for part in points.split(chunk)])
            if values.shape != points.shape[:1]:
                raise ValueError(
                    f"index: expected one value per point, shape {tuple(points.shape[:1])}, got {tuple(values.shape)}"
                )
            if energy.conformal.check is not None:
                energy.conformal.check(values)
            infinite = energy.conformal.cost(values).isinf()
        if bool(infinite.any()):
            row = int(infinite.nonzero()[0])
            raise ValueError(
                f"{name}: expected points of positive density, got value {values[row].item():g} and an infinite cost "
                f"at row {row}; regularise the index (index.regularised(0.1)) or move the point"
            )


@contextmanager
def _taken(name: str, points: Tensor) -> Iterator[None]:
    """Name what a decoder or an index does not take; torch's own errors name layers and factors of products."""
    try:
        yield
    except (RuntimeError, IndexError) as error:
        raise ValueError(
            f"{name}: expected a function of latents (rows, {points.shape[-1]}) in {points.dtype}, got an error: "
            f"{str(error).splitlines()[0]}; convert the latents to the {name}'s dtype and device "
            "(z.to(next(model.parameters()))), and latents of more dimensions to vectors (z.flatten(1), and unflatten "
            f"them in the {name})"
        ) from error


def _starting_nodes(
    start: Start, energy: CurveEnergy, first: Tensor, last: Tensor, rows: slice, segments: int
) -> Tensor:
    """One start for some of the pairs: nodes `(pairs, segments + 1, n)` in the coordinates of the domain."""
    domain = energy.domain
    a, b = first[rows], last[rows]
    times = torch.linspace(0, 1, segments + 1, dtype=a.dtype, device=a.device)
    if isinstance(start, str):
        if start == "linear":
            inner_a, inner_b = domain.enter(a)[:, None], domain.enter(b)[:, None]
            return _on(domain, domain.between(inner_a, inner_b, times[:, None]), inner_a, inner_b)
        if start != "geodesic":
            raise ValueError(f"starts: expected 'linear' or 'geodesic', nodes, a path or a callable, got {start!r}")
        start = Linear(first, last) if energy.space is None else Geodesic(energy.space, first, last)
    if isinstance(start, Path):
        nodes = start(times).reshape(len(first), segments + 1, -1)[rows]
    elif isinstance(start, Tensor):
        if start.ndim < 2 or start.shape[-1] != a.shape[-1] or start.shape[:-2].numel() != len(first):
            raise ValueError(
                f"starts: expected nodes of shape (*batch, m, {a.shape[-1]}) for {len(first)} pairs, got "
                f"{tuple(start.shape)}"
            )
        nodes = resampled(start.reshape(len(first), *start.shape[-2:])[rows].to(a), segments)
    else:
        nodes = start(a, b, segments)
    return _on(domain, domain.enter(nodes.detach().to(a)), domain.enter(a)[:, None], domain.enter(b)[:, None])


def _on(domain: Domain, nodes: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Nodes on the domain that begin and end exactly where they should."""
    inner = nodes[:, 1:-1]
    return torch.cat([first, domain.retract(inner, torch.zeros_like(inner)), last], 1)


def _refined(
    solver: Solver, energy: CurveEnergy, nodes: Tensor, coarse: int, finished: Callable[[int], None] | None
) -> Solution:
    """Solve with few segments first, then with twice as many from there, up to those of `nodes`."""
    segments = nodes.shape[1] - 1
    domain = energy.domain
    first, last = nodes[:, :1], nodes[:, -1:]
    began = nodes
    for level in range(coarse, 0, -1):
        few = _on(domain, resampled(began, segments >> level), first, last)
        solution = solver.minimise(energy, few, finished=finished)
        usable = (solution.status != Status.NOT_FINITE)[:, None, None]
        fine = resampled(domain.enter(solution.nodes), segments)
        began = torch.where(usable, _on(domain, fine, first, last), nodes)
        if _was_interrupted(solution):
            return _untried(energy, began)
    return solver.minimise(energy, began, finished=finished)


def _untried(energy: CurveEnergy, nodes: Tensor) -> Solution:
    """What is there after an interruption, evaluated once."""
    with torch.no_grad():
        segments = energy.inner_segments(nodes)
    status = torch.where(segments.energy.isfinite(), int(Status.INTERRUPTED), int(Status.NOT_FINITE))
    ones = torch.ones_like(status)
    return Solution(energy.domain.leave(nodes), segments.energy, segments.length, ones, status)


def _was_interrupted(solution: Solution) -> bool:
    return bool((solution.status == Status.INTERRUPTED).any())


@contextmanager
def _bar(total: int, *, show: bool | None) -> Iterator[Callable[[int], None] | None]:
    """What counts finished pairs on a progress bar, which appears at once or, for None, after two seconds."""
    if show is False:
        yield None
        return
    from tqdm.auto import tqdm

    # Zero `miniters`: the clock goes on while no pair has finished.
    with tqdm(total=total, desc="paths", unit="pair", ncols=80, miniters=0, delay=0 if show else 2) as bar:
        yield bar.update
