"""The geodesic no-U-turn sampler, a kernel of Pyro's `MCMC`."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from ..checks import check_integer
from .hmc import _WORST_ERROR, GeodesicHMC, Move, Phase, _uniform, acceptance

__all__ = ["GeodesicNUTS"]

_GROWTH, _QUARTER = 0.8, 1.5  # the power of time with which a chord must grow for its path to go on from this time on


@dataclass(frozen=True)
class _Tree:
    """States of a path that follow one another, of which one is the proposal.

    `log_weight` is the log of the sum of their weights exp(-energy), relative to the start; `accepts` sums the
    acceptance probabilities of all states but the start.
    """

    left: Phase
    right: Phase
    proposal: Phase
    log_weight: float
    accepts: float
    states: int
    turning: bool = False
    diverging: bool = False

    @property
    def ends(self) -> bool:
        return self.turning or self.diverging


class GeodesicNUTS(GeodesicHMC):
    r"""The no-U-turn sampler with latents that move along the geodesics of their manifolds, for Pyro's `MCMC`.

    The sites are those of `GeodesicHMC`, and so are the arguments and what goes in and comes out; the length of the
    paths is found by doubling. States are drawn by their weights (multinomial sampling), later halves preferred.

    A path ends where its *chord* in ambient coordinates stops growing, or grows too slowly. With c the vector between
    the ends after the time t, in units of the masses, and v the velocity of an end,
    :math:`r = t\, v \cdot c / \|c\|^2` is the power of t with which the chord grows there: 1 on a straight line, 0
    where it turns back. A path goes on while r > 0 at both ends and, from t = 1.5 on, while r > 0.8. With adapted
    masses coordinates have about unit variance, and their oscillations get there after nearly a quarter of a period,
    where a point is about independent of the start; paths that turn back are twice as long. The shorter oscillations
    of correlated coordinates do not end a path. The condition needs no transport, depends only on the states of the
    path, and so leaves the target invariant. As in Stan it is asked across both halves, too.

    Args:
        max_tree_depth: How often a path is doubled at most.

    >>> import pyro
    >>> from pyro.infer import MCMC
    >>> from manifoldflow.distributions import SphericalUniform
    >>> def model():
    ...     x = pyro.sample("x", SphericalUniform(3))
    ...     pyro.factor("bingham", 4 * x[0] * x[1])
    >>> pyro.set_rng_seed(0)
    >>> mcmc = MCMC(GeodesicNUTS(model), num_samples=20, warmup_steps=50, disable_progbar=True)
    >>> mcmc.run()
    >>> mcmc.get_samples()["x"].shape
    torch.Size([20, 3])

    References: S. Byrne and M. Girolami, 2013 (arXiv 1301.6064); M. Hoffman and A. Gelman, The No-U-Turn Sampler, 2014
    (arXiv 1111.4246); M. Betancourt, Generalizing the No-U-Turn Sampler to Riemannian Manifolds, 2013 (arXiv
    1304.1920), and A Conceptual Introduction to Hamiltonian Monte Carlo, 2017 (arXiv 1701.02434), appendix A.
    """

    def __init__(self, model: Any, step_size: float = 1.0, *, max_tree_depth: int = 10, **options: Any) -> None:
        for name in ("trajectory_length", "num_steps"):
            if name in options:
                raise TypeError(f"{name}: expected only by GeodesicHMC; GeodesicNUTS takes max_tree_depth")
        self.max_tree_depth = check_integer("max_tree_depth", max_tree_depth)
        super().__init__(model, step_size, **options)

    def _move(self, start: Phase, step: float) -> Move:
        energy = self._energy(start)
        tree = _Tree(start, start, start, 0.0, 0.0, 1)
        moved = False
        for depth in range(self.max_tree_depth):
            forward = _uniform() < 0.5
            end = tree.right if forward else tree.left
            new = self._grow(end, step if forward else -step, depth, energy)
            if new.ends:
                mean = (tree.accepts + new.accepts) / (tree.states - 1 + new.states)
                return Move(tree.proposal, mean, moved, new.diverging)
            take = _uniform() < math.exp(min(0.0, new.log_weight - tree.log_weight))
            moved = moved or take
            tree = self._join(tree, new, abs(step), forward, new.proposal if take else tree.proposal)
            if tree.turning:
                break
        return Move(tree.proposal, tree.accepts / (tree.states - 1), moved, False)

    def _grow(self, end: Phase, step: float, depth: int, energy: float) -> _Tree:
        """A tree of 2^depth states that go on from a state; less if a part of it turns or diverges."""
        if depth == 0:
            phase = self._step(end, step)
            after = self._energy(phase)
            diverging = not after - energy <= _WORST_ERROR
            weight = -math.inf if diverging else energy - after
            return _Tree(phase, phase, phase, weight, acceptance(energy, after), 1, diverging=diverging)
        first = self._grow(end, step, depth - 1, energy)
        if first.ends:
            return first
        second = self._grow(first.right if step > 0 else first.left, step, depth - 1, energy)
        total = _log_add(first.log_weight, second.log_weight)
        take = _uniform() < math.exp(second.log_weight - total)
        return self._join(first, second, abs(step), step > 0, second.proposal if take else first.proposal)

    def _join(self, first: _Tree, second: _Tree, step: float, forward: bool, proposal: Phase) -> _Tree:
        """Two trees that follow one another in the direction of time or against it."""
        left, right = (first, second) if forward else (second, first)
        states = first.states + second.states
        turning = second.turning or second.diverging or self._turns(left.left, right.right, step * (states - 1))
        if not turning and states > 2:
            turning = self._turns(left.left, right.left, step * left.states) or self._turns(
                left.right, right.right, step * right.states
            )
        return _Tree(
            left.left,
            right.right,
            proposal,
            _log_add(first.log_weight, second.log_weight),
            first.accepts + second.accepts,
            states,
            turning,
            second.diverging,
        )

    def _turns(self, left: Phase, right: Phase, time: float) -> bool:
        """Whether the chord of a path that took this time shrinks, or grows too slowly, at one of its ends."""
        chord = right.q - left.q
        first, last, square = torch.mv(torch.stack([left.p, right.p, chord / self.inverse_mass]), chord).tolist()
        return not time * min(first, last) > (_GROWTH * square if time >= _QUARTER else 0.0)


def _log_add(a: float, b: float) -> float:
    high = max(a, b)
    return high if high == -math.inf else high + math.log(math.exp(a - high) + math.exp(b - high))
