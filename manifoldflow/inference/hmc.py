"""Geodesic Hamiltonian Monte Carlo, a kernel of Pyro's `MCMC`."""

import math
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import torch
from pyro.infer.autoguide.initialization import init_to_uniform
from pyro.infer.mcmc.mcmc_kernel import MCMCKernel
from torch import Tensor
from torch.distributions import Transform

from ..checks import check_integer, check_number, describe
from .jumps import Jumps
from .target import Target
from .warmup import Masses, warm_up

__all__ = ["GeodesicHMC", "Move", "Phase"]

_WORST_ERROR = 1000.0  # of the energy, from which on a path has diverged, as in Stan
_LONGEST, _JITTER = 1.67, 0.1  # of a step at adapted masses: never less than a quarter of an oscillation when longest
_KICK = 0.21178  # the outer kicks' share of a step: of all two-stage schemes the one that best keeps an energy


class Phase(NamedTuple):
    """A state: position, momentum, and the potential energy at the position with its gradient."""

    q: Tensor
    p: Tensor
    potential: float
    gradient: Tensor


class Move(NamedTuple):
    """What a transition came to."""

    phase: Phase
    accept_prob: float
    moved: bool
    diverging: bool


class GeodesicHMC(MCMCKernel):
    r"""Hamiltonian Monte Carlo that moves latents along the geodesics of their manifolds, for Pyro's `MCMC`.

    Directions move on great circles, angles around, points of a simplex along Fisher-Rao geodesics, points of product
    spaces in each factor; all other sites move unconstrained, as in Pyro's `HMC`, in the same path. What moves how
    follows from the distribution's manifold or support; angles of Pyro's and torch's `VonMises` are found, too. Of the
    density on a simplex, :math:`\prod_i s_i^{1/2}` belongs to the geometry, so that it is singular at an edge where a
    Dirichlet concentration is below 1/2: name such a site in `flat`.

    Args:
        model: A Pyro model; plates, batch shapes and enumerated discrete sites as in Pyro.
        step_size: Where the search for a step size begins, or the step size if that is not adapted.
        trajectory_length: Time of a path, pi / 2 by default: at the adapted masses a sphere is crossed in about pi.
        num_steps: The same as a number of steps of `step_size`.
        adapt_step_size: Whether warm-up adapts the step size by dual averaging.
        adapt_mass_matrix: Whether warm-up adapts a mass for each flat coordinate and one for each sphere.
        target_accept_prob: The acceptance probability that the step size is adapted to.
        flat: Names of sites to move unconstrained whatever their manifold.
        max_plate_nesting: As in Pyro.
        jit_compile: Whether torch.jit.trace compiles the potential, as in Pyro; a dictionary of its options is a yes.
        init_strategy: As in Pyro; curved sites start at a random point unless it starts them.

    A step is of two stages, that is, of two gradients and two geodesics with three kicks, the outer ones of 0.21178 of
    it: for the same acceptance it is more than twice as long as one of the leapfrog method, all the more in high
    dimension. Each path has a random number of steps, between half and three halves of `trajectory_length /
    step_size`, and steps of up to a tenth more or less, since paths of one length can return to where they began.

    With adapted masses coordinates oscillate at about one radian a unit of time, and a longest step of 1.67 keeps a
    path of one step near a quarter of an oscillation, where it forgets its start. Energy alone would allow longer ones
    in low dimension, which go to the other side and leave the squares of coordinates as they were.

    After a path a direction or an angle may jump to its antipode, which joins the modes of densities of axes. Warm-up
    tries it; later draws go on if it was accepted there, more often than paths went to the other side by themselves.

    The `initial_params` of `MCMC`, and what `sample` returns, are the points themselves for sites on manifolds, and
    unconstrained values for others, as in Pyro. Samples are on the manifold to rounding. `MCMC.diagnostics` has
    `divergences` (numbers of the draws), `acceptance rate`, `step size` and `gradients` (evaluations after warm-up).

    Raises:
        ValueError: An argument is out of range, a site has neither a motion nor a transform, `flat` or `initial_params`
            do not fit the model, or no start with a finite density is found.

    >>> import pyro
    >>> from pyro.infer import MCMC
    >>> from manifoldflow.distributions import VonMisesFisher
    >>> def model():
    ...     return pyro.sample("direction", VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 100.0))
    >>> pyro.set_rng_seed(0)
    >>> mcmc = MCMC(GeodesicHMC(model), num_samples=20, warmup_steps=50, disable_progbar=True)
    >>> mcmc.run()
    >>> mcmc.get_samples()["direction"].norm(dim=-1).mean()
    tensor(1.)

    References: S. Byrne and M. Girolami, Geodesic Monte Carlo on Embedded Manifolds, 2013 (arXiv 1301.6064); S. Blanes,
    F. Casas and J. M. Sanz-Serna, Numerical integrators for the Hybrid Monte Carlo method, 2014 (arXiv 1405.3153).
    """

    def __init__(
        self,
        model: Callable[..., Any],
        step_size: float = 1.0,
        trajectory_length: float | None = None,
        num_steps: int | None = None,
        adapt_step_size: bool = True,
        adapt_mass_matrix: bool = True,
        target_accept_prob: float = 0.8,
        *,
        flat: Collection[str] = (),
        max_plate_nesting: int | None = None,
        jit_compile: bool | dict[str, Any] = False,
        init_strategy: Callable[..., Any] = init_to_uniform,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model: expected a Pyro model, got {describe(model)}")
        if isinstance(flat, str):
            raise TypeError(f"flat: expected a list of names of sites, got {flat!r}; write [{flat!r}]")
        self.model = model
        step_size = check_number("step_size", step_size, positive=True)
        if num_steps is not None:
            trajectory_length = step_size * check_integer("num_steps", num_steps)
        elif trajectory_length is None:
            trajectory_length = math.pi / 2
        self.trajectory_length = check_number("trajectory_length", trajectory_length, positive=True)
        accept = check_number("target_accept_prob", target_accept_prob, most=1, positive=True)
        self._adapts: dict[str, Any] = {
            "step_size": step_size,
            "adapt_step_size": adapt_step_size,
            "adapt_mass_matrix": adapt_mass_matrix,
            "target_accept_prob": accept,
        }
        self._reads: dict[str, Any] = {
            "flat": tuple(flat),
            "max_plate_nesting": max_plate_nesting,
            "jit_compile": bool(jit_compile) or isinstance(jit_compile, dict),
            "jit_options": jit_compile if isinstance(jit_compile, dict) else None,
            "init_strategy": init_strategy,
        }
        self.transforms: dict[str, Transform] | None = None
        self._adapter: Any = None
        self._target: Target = None  # type: ignore[assignment]
        self._initial_params: dict[str, Tensor] | None = None
        self._last: dict[str, Tensor] | None = None
        self._phase: Phase = None  # type: ignore[assignment]
        self._jumps: Jumps = None  # type: ignore[assignment]
        self._divergences: list[int] = []
        self.cleanup()
        super().__init__()

    def setup(self, warmup_steps: int, *args: Any, **kwargs: Any) -> None:
        """Read the model, find a start and a first step size."""
        self._target = target = Target(self.model, args, kwargs, initial_params=self._initial_params, **self._reads)
        self.transforms = target.unconstraining
        self._start_at(target.start)
        self._initial_params = self._last
        self._warmup_steps = warmup_steps
        masses = Masses(target.geodesics, target.start)
        self._adapter = warm_up(warmup_steps, masses, self._find_step_size, **self._adapts)
        if self._adapter.adapt_step_size:
            self._adapter.reset_step_size_adaptation(target.start)
        self._gradients = 0
        self._jumps = Jumps(target.geodesics)

    def cleanup(self) -> None:
        """Forget the model's data and the state of the chain."""
        self._target = self._phase = self._jumps = None  # type: ignore[assignment]
        self._initial_params = self._last = None
        self._warmup_steps = self._t = self._moved = self._gradients = 0
        self._mean_accept_prob = 0.0
        self._divergences = []

    @property
    def initial_params(self) -> dict[str, Tensor] | None:
        """Values by site: points of sites on manifolds, unconstrained values of others."""
        return self._initial_params

    @initial_params.setter
    def initial_params(self, params: dict[str, Tensor] | None) -> None:
        self._initial_params = params

    @property
    def step_size(self) -> float:
        """The step size in use, bounded where a step would go around a sphere or past a quarter of an oscillation."""
        return min(self._adapter.step_size, self._longest_step)

    @property
    def inverse_mass(self) -> Tensor:
        """The inverse mass of each coordinate."""
        return self._adapter.mass_matrix_adapter.inverse

    def logging(self) -> OrderedDict[str, str]:
        """Step size and mean acceptance probability, for the progress bar."""
        return OrderedDict([("step size", f"{self.step_size:.2e}"), ("acc. prob", f"{self._mean_accept_prob:.3f}")])

    def diagnostics(self) -> dict[str, Any]:
        """Divergences, acceptance rate, step size and gradient evaluations of the draws after warm-up."""
        return {
            "divergences": self._divergences,
            "acceptance rate": self._moved / max(1, self._t - self._warmup_steps),
            "step size": self.step_size,
            "gradients": self._gradients,
        }

    def sample(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """The next values by site."""
        if params is not self._last:
            self._start_at(self._target.position(params))
        if self._t == self._warmup_steps:
            self._gradients, self._mean_accept_prob = 0, 0.0
            self._jumps.decide()
        warm = self._t < self._warmup_steps
        self._t += 1
        start = self._phase._replace(p=self._target.geodesics.momentum(self._phase.q, self.inverse_mass))
        move = self._move(start, self.step_size * (1 + _JITTER * (2 * _uniform() - 1)))
        self._phase = move.phase
        if warm or self._jumps.kept:
            self._jump(start.q)
        count = self._t if warm else self._t - self._warmup_steps
        self._mean_accept_prob += (move.accept_prob - self._mean_accept_prob) / count
        if warm:
            self._adapt(move.accept_prob)
        else:
            self._moved += move.moved
            if move.diverging:
                self._divergences.append(count - 1)
        self._last = self._target.params(self._phase.q)
        return self._last

    def _jump(self, before: Tensor) -> None:
        """Perhaps send a point to its antipode, after a path from `before`."""
        chosen = self._jumps.choose(self._phase.q)
        if chosen is None:
            return
        point, q = chosen
        if self._target.are_equal(q, self._phase.q):  # square roots of a composition, of either sign
            return
        self._gradients += 1
        potential, gradient = self._target.energy_and_gradient(q)
        accept_prob = acceptance(self._phase.potential, potential)
        if 2 * self._t > self._warmup_steps:
            self._jumps.note(accept_prob, bool(before[point] @ self._phase.q[point] < 0))
        if _uniform() < accept_prob:
            self._phase = Phase(q, self._phase.p, potential, gradient)

    def _move(self, start: Phase, step: float) -> Move:
        """One transition from a state with a fresh momentum."""
        steps = max(1, self.trajectory_length / step)
        phase, energy, diverging = start, self._energy(start), False
        for _ in range(max(1, round(steps * (0.5 + _uniform())))):
            phase = self._step(phase, step)
            diverging = not self._energy(phase) - energy <= _WORST_ERROR
            if diverging:
                break
        accept_prob = acceptance(energy, self._energy(phase))
        moved = not diverging and _uniform() < accept_prob
        return Move(phase if moved else start, accept_prob, moved, diverging)

    def _step(self, phase: Phase, step: float) -> Phase:
        """Kick, geodesic, kick, geodesic, kick; backwards in time if `step` is negative."""
        target, inverse_mass = self._target, self.inverse_mass
        q, p = phase.q, phase.p - _KICK * step * phase.gradient
        q, p = target.geodesics.advance(q, p, inverse_mass, step / 2)
        self._gradients += 1
        potential, gradient = target.energy_and_gradient(q)
        if not math.isfinite(potential):  # a divergence, which the rest of the step must not hide
            return Phase(q, p, math.nan, gradient)
        q, p = target.geodesics.advance(q, p - (1 - 2 * _KICK) * step * gradient, inverse_mass, step / 2)
        self._gradients += 1
        potential, gradient = target.energy_and_gradient(q)
        return Phase(q, p - _KICK * step * gradient, potential, gradient)

    def _energy(self, phase: Phase) -> float:
        return phase.potential + 0.5 * float((self.inverse_mass * phase.p) @ phase.p)

    def _start_at(self, q: Tensor) -> None:
        potential, gradient = self._target.energy_and_gradient(q)
        self._phase = Phase(q, torch.zeros_like(q), potential, gradient)
        self._last = self._target.params(q)

    @property
    def _longest_step(self) -> float:
        if not self._target:
            return math.inf
        around = self._target.geodesics.longest_step(self.inverse_mass)
        return min(around, _LONGEST) if self._adapter.mass_matrix_adapter.adapted else around

    def _adapt(self, accept_prob: float) -> None:
        if self._adapter.step_size >= self._longest_step:  # a longer step would not be taken: do not ask for one
            accept_prob = min(accept_prob, self._adapter.target_accept_prob)
        self._adapter.step(self._t, self._phase.q, torch.tensor(accept_prob))

    def _find_step_size(self, q: Tensor) -> float:
        """Double or halve the step until the acceptance probability of one step crosses 0.8, as Stan does."""
        longest = self._longest_step
        step, direction = min(self._adapter.step_size, longest), 0
        while step > 1e-10:
            start = self._phase._replace(p=self._target.geodesics.momentum(q, self.inverse_mass))
            error = self._energy(self._step(start, step)) - self._energy(start)
            rises = 1 if -error > math.log(0.8) else -1
            direction = direction or rises
            if rises != direction or (direction == 1 and step >= min(longest, 1e10)):
                break
            step = min(step * 2.0**direction, longest)
        return step


def acceptance(before: float, after: float) -> float:
    """The probability to accept a change of energy; 0 if it is NaN."""
    return math.exp(min(0.0, before - after)) if after < math.inf else 0.0


def _uniform() -> float:
    return float(torch.rand(()))
