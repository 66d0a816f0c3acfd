"""Weighted Sobolev descent: many discrete curves to minimal energy at once, each with its own step and its own stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .domain import Domain
from .energy import CurveEnergy, Segments
from .solution import Solution, Status, Trace

__all__ = ["Evaluation", "Memory", "Monitor", "SobolevDescent", "dot", "evaluate", "laplacian_solve"]

_ARMIJO = 1e-4
_FLOOR = 1e-4  # of a segment weight, relative to the curve's mean: weightless stretches must not move freely
_SMALLEST_STEP = 1e-7
_PATIENCE = 8  # steps in a row that change the energy by rounding only
_WIDTHS = (1.0, 0.3, 0.1, 0.03)  # of the rounded kinks, one after the other
_STAGE = 30  # evaluations with each of them
_KINKED_MEMORY = 20  # the valley along a kink is steep on both sides: more steps know its direction
_WINDOW, _SETTLED = 20, 0.01  # evaluations that lower an energy with kinks by less than that share end its descent


class Monitor:
    """Keeps the energies of all pairs over time, and tells a progress bar how many have stopped."""

    def __init__(self, pairs: int, finished: Callable[[int], None] | None = None) -> None:
        self.began = time.perf_counter()
        self.stopped = 0
        self.pairs = pairs
        self.finished = finished
        self.steps: list[tuple[float, Tensor]] = []

    def record(self, energy: Tensor, stopped: int) -> None:
        """Append the energies `(pairs,)` reached by now, of which `stopped` are final."""
        self.steps.append((time.perf_counter() - self.began, energy.clone()))
        if self.finished is not None:
            self.finished(stopped - self.stopped)
        self.stopped = stopped

    def pulse(self) -> None:
        """Tell the progress bar that work goes on."""
        if self.finished is not None:
            self.finished(0)

    def trace(self) -> Trace:
        """What was recorded."""
        seconds = torch.tensor([seconds for seconds, _ in self.steps], dtype=torch.float64)
        energies = [energy for _, energy in self.steps]
        return Trace(seconds, torch.stack(energies, 1) if energies else torch.zeros(self.pairs, 0))


@dataclass
class Evaluation:
    """Energy, its gradient at the interior nodes, and the weights that make the Sobolev metric match the energy."""

    energy: Tensor
    gradient: Tensor
    weights: Tensor

    def rows(self, rows: Tensor) -> "Evaluation":
        return Evaluation(self.energy[rows], self.gradient[rows], self.weights[rows])

    def where(self, taken: Tensor, other: "Evaluation") -> "Evaluation":
        """The other's rows where `taken`."""
        return Evaluation(
            torch.where(taken, other.energy, self.energy),
            torch.where(taken[:, None, None], other.gradient, self.gradient),
            torch.where(taken[:, None], other.weights, self.weights),
        )


def evaluate(energy: CurveEnergy, nodes: Tensor) -> Evaluation:
    """Evaluate nodes `(pairs, k + 1, n)` in the coordinates of the energy's domain."""
    with torch.enable_grad():
        interior = nodes[:, 1:-1].detach().requires_grad_()
        curve = torch.cat([nodes[:, :1], interior, nodes[:, -1:]], 1)
        segments = energy.inner_segments(curve)
        values = segments.energy
        (gradient,) = torch.autograd.grad(values.sum(), interior)
    gradient = energy.domain.tangent(gradient, nodes[:, 1:-1])
    return Evaluation(values.detach(), gradient, _sobolev_weights(segments, nodes))


def _sobolev_weights(segments: Segments, nodes: Tensor) -> Tensor:
    """a_i with energy = 1/2 sum_i a_i |x_{i+1} - x_i|^2 in the coordinates of the nodes."""
    moved = (nodes[:, 1:] - nodes[:, :-1]).square().sum(-1)
    tiny = torch.finfo(moved.dtype).tiny
    stretch = segments.squared.detach() / moved.clamp(min=tiny)
    weights = moved.shape[1] * segments.cost.detach() * stretch
    mean = weights.mean(1, keepdim=True)
    return torch.maximum(weights, torch.where(mean > 0, _FLOOR * mean, 1))


@dataclass(frozen=True)
class SobolevDescent:
    r"""Descent in the weighted H1 metric, with a line search, a memory and a stop for every pair.

    The step of a pair is :math:`-H g`: g the gradient of its energy, H the inverse of the path Laplacian weighted by
    what its segments cost (one tridiagonal solve), improved by limited-memory BFGS. Every iteration evaluates one trial
    step of every unfinished pair: where the energy falls enough (Armijo) it is taken, else shortened. Finished pairs
    leave the batch.

    Where the index has a kink, as 2 min(r, 1 - r) at r = 1/2, curves of little energy run along it, and no gradient
    vanishes there. Such an energy is first minimised with its kinks rounded, less and less, and last as it is; a pair
    has then settled when 20 evaluations lower its energy by less than 1 %.

    Attributes:
        tolerance: A pair has converged when the predicted decrease of its energy, :math:`-g \cdot step`, is below
            this share of the energy.
        max_iterations: Evaluations after which a pair is given up, those with rounded kinks included.
        memory: Steps that BFGS remembers; 0 leaves a Barzilai-Borwein step length.
    """

    tolerance: float = 1e-5
    max_iterations: int = 1000
    memory: int = 5

    def __post_init__(self) -> None:
        if not self.tolerance > 0 or self.max_iterations < 1 or self.memory < 0:
            raise ValueError(
                f"SobolevDescent: expected tolerance > 0, max_iterations >= 1 and memory >= 0, got "
                f"{self.tolerance}, {self.max_iterations}, {self.memory}"
            )

    def minimise(
        self, energy: CurveEnergy, nodes: Tensor, *, finished: Callable[[int], None] | None = None
    ) -> Solution:
        """Minimise from nodes `(pairs, k + 1, n)` in the coordinates of the energy's domain; end points stay.

        Args:
            energy: The energy.
            nodes: Where to start.
            finished: Called after every evaluation with how many pairs have stopped since the last call.
        """
        monitor = Monitor(len(nodes), finished)
        if energy.smoothed(_WIDTHS[0]) is energy:
            return self._descend(energy, nodes, monitor)
        memory, spent, interrupted = max(self.memory, _KINKED_MEMORY) if self.memory else 0, 0, False
        best, budget = nodes, min(_STAGE, self.max_iterations // (2 * len(_WIDTHS)))
        for width in _WIDTHS if budget else ():
            stage = replace(self, memory=memory, max_iterations=budget)
            smooth = energy.smoothed(width)
            found = stage._descend(smooth, best, Monitor(len(nodes), lambda _: monitor.pulse()))
            best, spent = energy.domain.enter(found.nodes), spent + int(found.iterations.max())
            interrupted = bool((found.status == Status.INTERRUPTED).any())
            if interrupted:
                break
        with torch.no_grad():
            better = energy.inner_segments(best).energy < energy.inner_segments(nodes).energy
        best = torch.where(better[:, None, None], best, nodes)
        last = replace(self, memory=memory, max_iterations=1 if interrupted else self.max_iterations - spent)
        found = last._descend(energy, best, monitor, settles=True)
        stopped = found.status == Status.ITERATION_LIMIT
        status = torch.where(stopped, Status.INTERRUPTED, found.status) if interrupted else found.status
        return replace(found, iterations=found.iterations + spent, status=status)

    def _descend(self, energy: CurveEnergy, nodes: Tensor, monitor: Monitor, *, settles: bool = False) -> Solution:
        """One descent; `settles` lets pairs stop whose energy hardly falls any more."""
        run = _Run(self, energy, nodes, monitor, settles=settles)
        state = vars(run).copy()
        try:
            while len(run.rows):
                run.iterate()
                state = vars(run).copy()  # an interrupt may come between two assignments of the next one
        except KeyboardInterrupt:
            vars(run).update(state)
            run.note(run.rows >= 0, torch.full_like(run.rows, Status.INTERRUPTED))
        return run.solution(monitor.trace())


class _Run:
    """The state of one descent: `rows` are the unfinished pairs, everything without `all_` is theirs."""

    def __init__(
        self, options: SobolevDescent, energy: CurveEnergy, nodes: Tensor, monitor: Monitor, *, settles: bool
    ) -> None:
        self.options, self.energy, self.monitor, self.settles = options, energy, monitor, settles
        self.domain: Domain = energy.domain
        self.all_nodes = nodes.clone()
        self.rows = torch.arange(len(nodes), device=nodes.device)
        self.nodes = nodes
        self.at = evaluate(energy, nodes)
        self.all_energy = self.at.energy.clone()
        self.all_status = torch.full_like(self.rows, Status.INTERRUPTED)
        self.all_iterations = torch.zeros_like(self.rows)
        self.iteration = 1
        self.marked = self.at.energy  # at the beginning of the present window
        self.memory = Memory(options.memory, nodes[:, 1:-1])
        self.idle = torch.zeros_like(self.rows)
        self.direction = torch.zeros_like(self.at.gradient)
        self.slope = torch.zeros_like(self.at.energy)
        self.step = torch.ones_like(self.at.energy)
        usable = self.at.energy.isfinite() & self.at.gradient.flatten(1).isfinite().all(1)
        self.finish(~usable, Status.NOT_FINITE)
        self._aim(torch.ones_like(self.step, dtype=torch.bool))
        self._stop()
        monitor.record(self.all_energy, len(nodes) - len(self.rows))

    def iterate(self) -> None:
        """Try one step of every unfinished pair."""
        self.iteration += 1
        at = self.at
        interior = self.nodes[:, 1:-1]
        moved = self.domain.retract(interior, self.step[:, None, None] * self.direction)
        trial = torch.cat([self.nodes[:, :1], moved, self.nodes[:, -1:]], 1)
        new = evaluate(self.energy, trial)
        noise = 4 * torch.finfo(at.energy.dtype).eps * at.energy.abs()
        taken = new.energy <= at.energy + _ARMIJO * self.step * self.slope + noise
        taken &= new.gradient.flatten(1).isfinite().all(1)
        shorter = self._shorter(new.energy)
        self.idle = torch.where(taken & (at.energy - new.energy <= noise), self.idle + 1, 0)
        mask = taken[:, None, None]
        step = torch.where(mask, moved - interior, 0)
        self.at = at.where(taken, new)
        # A rejected trial may hold NaN, which a zero factor would not remove.
        change = torch.where(mask, new.gradient - at.gradient, 0)
        self.nodes = torch.where(mask, trial, self.nodes)
        self.memory.add(self.at.weights, step, change, taken)
        self.step = torch.where(taken, 1.0, shorter)
        self._aim(taken)
        self.all_energy[self.rows] = self.at.energy
        self._stop()
        self.monitor.record(self.all_energy, len(self.all_energy) - len(self.rows))

    def _shorter(self, energy: Tensor) -> Tensor:
        """A shorter step for a rejected trial: the minimum of the parabola through what is known."""
        excess = energy - self.at.energy - self.step * self.slope
        parabola = -0.5 * self.slope * self.step.square() / excess
        usable = parabola.isfinite() & (excess > 0)
        return torch.where(usable, parabola, 0).clamp(min=0.1 * self.step, max=0.5 * self.step)

    def _aim(self, fresh: Tensor) -> None:
        """New directions for the pairs whose position is `fresh`."""
        direction = self.memory.direction(self.at.weights, self.at.gradient)
        direction = self.domain.tangent(direction, self.nodes[:, 1:-1])
        slope = dot(self.at.gradient, direction)
        uphill = ~(slope < 0)
        if bool(uphill.any()):
            plain = -laplacian_solve(self.at.weights, self.at.gradient)
            plain = self.domain.tangent(plain, self.nodes[:, 1:-1])
            direction = torch.where(uphill[:, None, None], plain, direction)
            slope = torch.where(uphill, dot(self.at.gradient, direction), slope)
        self.direction = torch.where(fresh[:, None, None], direction, self.direction)
        self.slope = torch.where(fresh, slope, self.slope)

    def _stop(self) -> None:
        """Let finished pairs leave the batch."""
        done = -self.slope <= self.options.tolerance * self.at.energy
        stalled = ~done & ((self.step < _SMALLEST_STEP) | (self.idle >= _PATIENCE))
        self.finish(done, Status.CONVERGED, stalled)
        if self.settles and self.iteration % _WINDOW == 0:
            settled = self.marked - self.at.energy <= _SETTLED * self.at.energy
            self.marked = self.at.energy
            self.finish(settled, Status.SETTLED)
        if self.iteration >= self.options.max_iterations:
            self.finish(torch.ones_like(self.rows, dtype=torch.bool), Status.ITERATION_LIMIT)

    def finish(self, done: Tensor, status: Status, stalled: Tensor | None = None) -> None:
        """Note how the pairs in `done` (and `stalled`) ended and drop them."""
        codes = torch.full_like(self.rows, status)
        if stalled is not None:
            codes = torch.where(stalled, Status.STALLED, codes)
            done = done | stalled
        if not bool(done.any()):
            return
        self.note(done, codes)
        stay = ~done
        self.rows, self.nodes, self.at = self.rows[stay], self.nodes[stay], self.at.rows(stay)
        self.direction, self.slope, self.step = self.direction[stay], self.slope[stay], self.step[stay]
        self.idle, self.marked = self.idle[stay], self.marked[stay]
        self.memory.keep(stay)

    def note(self, done: Tensor, codes: Tensor) -> None:
        """Write down where the pairs in `done` are, and why they ended."""
        gone = self.rows[done]
        self.all_nodes[gone] = self.nodes[done]
        self.all_energy[gone] = self.at.energy[done]
        self.all_status[gone] = codes[done]
        self.all_iterations[gone] = self.iteration

    def solution(self, trace: Trace) -> Solution:
        """The curves, back in the coordinates of the space."""
        with torch.no_grad():
            length = self.energy.inner_segments(self.all_nodes).length
        return Solution(
            nodes=self.domain.leave(self.all_nodes),
            energy=self.all_energy,
            length=length,
            iterations=self.all_iterations,
            status=self.all_status,
            traces=(trace,),
        )


def dot(first: Tensor, last: Tensor) -> Tensor:
    """Inner products `(pairs,)` of two fields on the nodes."""
    return (first * last).sum((1, 2))


def laplacian_solve(weights: Tensor, field: Tensor) -> Tensor:
    r"""v with :math:`a_{j-1} (v_j - v_{j-1}) - a_j (v_{j+1} - v_j) = b_j` and v = 0 at both ends.

    This is the gradient in the weighted H1 metric :math:`\sum_j a_j |v_{j+1} - v_j|^2`, along every curve and
    coordinate. The system is tridiagonal, but one integration gives the fluxes
    :math:`q_j = a_j (v_{j+1} - v_j) = q_0 - \sum_{i \le j} b_i` and a second the solution, with :math:`q_0` from v = 0
    at the end: two cumulative sums instead of a loop over the nodes.

    Args:
        weights: Positive segment weights a, `(pairs, k)`.
        field: Right-hand sides b, `(pairs, k - 1, n)`.
    """
    inflow = torch.cat([torch.zeros_like(field[:, :1]), field.cumsum(1)], 1)
    compliance = weights.reciprocal()[..., None]
    first = (inflow * compliance).sum(1, keepdim=True) / compliance.sum(1, keepdim=True)
    return ((first - inflow) * compliance)[:, :-1].cumsum(1)


class Memory:
    """Limited-memory BFGS for every pair at once, on top of the Sobolev solve.

    A pair that took no step leaves an entry that does nothing.

    Args:
        size: How many steps are remembered; 0 leaves only a Barzilai-Borwein scale from the last one.
        nodes: Interior nodes whose shape, dtype and device the entries take.
    """

    def __init__(self, size: int, nodes: Tensor) -> None:
        self.size = size
        self.steps: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.curvatures: list[Tensor] = []  # 1 / (s . y), 0 where unused
        self.scale = torch.ones_like(nodes[:, 0, 0])

    def add(self, weights: Tensor, step: Tensor, change: Tensor, taken: Tensor) -> None:
        """Remember a step s and the change y of the gradient over it, for the pairs that took it."""
        product = dot(step, change)
        stiffness = dot(change, laplacian_solve(weights, change))
        tiny = torch.finfo(step.dtype).eps
        # The curvature condition, relative to the Cauchy-Schwarz bound in the Sobolev metric.
        usable = taken & (product > 0) & (product * product > tiny * dot(step, step) * dot(change, change))
        ratio = product / torch.where(usable, stiffness, 1)
        self.scale = torch.where(taken, torch.where(usable, ratio, 1).clamp(0.05, 2.0), self.scale)
        if self.size:
            self.steps = [*self.steps, step][-self.size :]
            self.changes = [*self.changes, change][-self.size :]
            curvature = torch.where(usable, 1 / torch.where(usable, product, 1), 0)
            self.curvatures = [*self.curvatures, curvature][-self.size :]

    def direction(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """The quasi-Newton direction -H g (two-loop recursion around the scaled Sobolev solve)."""
        rest = gradient.clone()
        shares = []
        for s, y, c in zip(reversed(self.steps), reversed(self.changes), reversed(self.curvatures)):
            share = c * dot(s, rest)
            rest.addcmul_((-share)[:, None, None], y)
            shares.append(share)
        result = laplacian_solve(weights, rest).mul_(self.scale[:, None, None])
        for s, y, c, share in zip(self.steps, self.changes, self.curvatures, reversed(shares)):
            result.addcmul_((share - c * dot(y, result))[:, None, None], s)
        return result.neg_()

    def keep(self, rows: Tensor) -> None:
        """Keep only some pairs."""
        self.steps = [v[rows] for v in self.steps]
        self.changes = [v[rows] for v in self.changes]
        self.curvatures = [v[rows] for v in self.curvatures]
        self.scale = self.scale[rows]
