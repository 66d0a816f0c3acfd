"""The target of the geodesic kernels: a Pyro model's potential energy in the coordinates in which its sites move."""

import math
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger, init_to_uniform
from pyro.infer.mcmc.util import initialize_model
from pyro.ops.integrator import potential_grad
from pyro.poutine.subsample_messenger import _Subsample
from torch import Tensor
from torch.distributions import Transform, biject_to

from ..checks import describe
from .geodesic import Geodesics, Site
from .motion import Motion, motion_of

__all__ = ["Target"]

_TRIES = 100


class Target:
    """What a kernel needs to know about a model with its arguments.

    Args:
        model: A Pyro model.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        flat: Names of sites that move unconstrained although their kind could move on a manifold.
        initial_params: As the kernels take them; None looks for a start with a finite potential.
        init_strategy: As in Pyro; curved sites that it cannot start get a random point.
        max_plate_nesting, jit_compile, jit_options: As in Pyro's kernels.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        flat: Collection[str],
        initial_params: Mapping[str, Tensor] | None,
        init_strategy: Callable[..., Any],
        max_plate_nesting: int | None,
        jit_compile: bool,
        jit_options: dict[str, Any] | None,
    ) -> None:
        strategy = _starting(init_strategy, flat)
        start_model = InitMessenger(strategy)(model)
        trace = poutine.trace(start_model).get_trace(*args, **kwargs)
        if max_plate_nesting is None:
            max_plate_nesting = _plate_nesting(trace)
        latent = {name: site["fn"] for name, site in trace.iter_stochastic_nodes() if _is_continuous(site["fn"])}
        _check_flat(flat, latent)
        self.transforms = {name: _transform(name, fn, name in flat) for name, fn in latent.items()}
        self._points = {name: trace.nodes[name]["value"].detach() for name in latent}
        first = {name: t(self._points[name]) for name, t in self.transforms.items()}
        _, self._potential, _, _ = initialize_model(
            model,
            args,
            kwargs,
            transforms=self.transforms,
            max_plate_nesting=max_plate_nesting,
            jit_compile=jit_compile,
            jit_options=jit_options,
            skip_jit_warnings=True,
            init_strategy=strategy,
            initial_params=first,
        )
        if not latent:
            raise ValueError("model: expected a latent site with a density, got none; there is nothing to sample")
        self.geodesics = Geodesics(
            {name: Site(c.shape, c.dtype, self._parts(name, c)) for name, c in first.items()},
            next(iter(first.values())).device,
        )
        self._compiles, self._constant = jit_compile, False
        if initial_params is not None:
            self.start = self.position(initial_params)
            if not self._is_finite(self.start):
                raise ValueError("initial_params: expected values where the model has a finite density, got others")
            return
        for _ in range(_TRIES):
            self.start = self.position({name: trace.nodes[name]["value"] for name in latent}, constrained=True)
            if self._is_finite(self.start):
                return
            trace = poutine.trace(start_model).get_trace(*args, **kwargs)
        raise ValueError(
            f"model: expected a finite density with a finite gradient at one of {_TRIES} random starts, got none; pass "
            "initial_params"
        )

    @property
    def unconstraining(self) -> dict[str, Transform]:
        """Transforms of the sites that move unconstrained, as Pyro's `MCMC` applies them."""
        return {name: t for name, t in self.transforms.items() if not isinstance(t, Motion)}

    def energy_and_gradient(self, q: Tensor) -> tuple[float, Tensor]:
        """The potential energy at q, NaN where the model cannot be evaluated, and its tangent gradient."""
        with warnings.catch_warnings() if self._compiles else nullcontext():
            if self._compiles:  # torch.jit.trace announces its end, and what it cannot see, at the first call
                warnings.simplefilter("ignore")
                self._compiles = False
            gradient, energy = potential_grad(self._energy, {"q": q.detach()})
        return float(energy), self.geodesics.tangent(q, gradient["q"])

    def params(self, q: Tensor) -> dict[str, Tensor]:
        """The values by site that a kernel returns: points of curved sites, unconstrained values of the others."""
        coordinates = self.geodesics.unpack(q)
        return {
            name: t.inv(coordinates[name]) if isinstance(t, Motion) else coordinates[name]
            for name, t in self.transforms.items()
        }

    def are_equal(self, q: Tensor, other: Tensor) -> bool:
        """Whether two positions stand for the same values of every site."""
        a, b = self.params(q), self.params(other)
        return all(torch.equal(a[name], b[name]) for name in a)

    def position(self, params: Mapping[str, Tensor], *, constrained: bool = False) -> Tensor:
        """The position of values by site, all as the model has them if `constrained`; a ValueError unless they fit."""
        if constrained:
            return self.geodesics.pack({name: t(params[name].detach()) for name, t in self.transforms.items()})
        return self.geodesics.pack(self._coordinates(params))

    def _is_finite(self, q: Tensor) -> bool:
        energy, gradient = self.energy_and_gradient(q)
        return math.isfinite(energy) and bool(gradient.isfinite().all())

    def _energy(self, z: dict[str, Tensor]) -> Tensor:
        energy = self._potential(self.geodesics.unpack(z["q"]))
        return energy if energy.requires_grad else energy + 0 * z["q"].sum()  # a constant density

    def _parts(self, name: str, coordinates: Tensor) -> Any:
        transform = self.transforms[name]
        return transform.parts(coordinates.shape[-1]) if isinstance(transform, Motion) else None

    def _coordinates(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if set(params) != set(self.transforms):
            raise ValueError(
                f"initial_params: expected values for the latent sites {sorted(self.transforms)}, got {sorted(params)}"
            )
        found = {}
        for name, transform in self.transforms.items():
            value, point = params[name].detach(), self._points[name]
            if not isinstance(transform, Motion):
                shape = transform(point).shape
                if value.shape != shape:
                    raise ValueError(
                        f"initial_params[{name!r}]: expected unconstrained values of shape {tuple(shape)}, got "
                        f"{describe(value)}"
                    )
                found[name] = value
                continue
            coordinates = transform(value) if value.shape == point.shape else value
            if value.shape != point.shape or not _belongs(transform, value, coordinates):
                raise ValueError(
                    f"initial_params[{name!r}]: expected points of the site's manifold, of shape {tuple(point.shape)}, "
                    f"got {describe(value)}"
                    + ("" if value.shape != point.shape else " with points off it; project them first")
                )
            found[name] = coordinates
        return found


def _belongs(motion: Motion, point: Tensor, coordinates: Tensor) -> bool:
    """Whether points come back when their coordinates are put on the spheres."""
    sites = {"": Site(coordinates.shape, coordinates.dtype, motion.parts(coordinates.shape[-1]))}
    geodesics = Geodesics(sites, coordinates.device)
    back = motion.inv(geodesics.unpack(geodesics.pack({"": coordinates}))[""])
    return bool(((back - point).abs() <= torch.finfo(point.dtype).eps ** 0.5).all())


def _is_continuous(fn: Any) -> bool:
    return not isinstance(fn, _Subsample) and not fn.has_enumerate_support


def _transform(name: str, fn: Any, flat: bool) -> Transform:
    """From points of a site to the coordinates in which they move."""
    motion = None if flat else motion_of(fn)
    if motion is not None:
        return motion
    try:
        return biject_to(fn.support).inv
    except NotImplementedError as error:
        raise ValueError(
            f"model: site {name!r} has support {fn.support}, on which neither a geodesic motion nor a transform of "
            "torch's biject_to is known; register the latter"
        ) from error


def _check_flat(flat: Collection[str], latent: Collection[str]) -> None:
    for name in flat:
        if name not in latent:
            raise ValueError(f"flat: expected names of latent sites, {sorted(latent)}, got {name!r}")


def _plate_nesting(trace: Any) -> int:
    """How deep plates are nested, as Pyro guesses it from one run."""
    sites = (site for site in trace.nodes.values() if site["type"] == "sample")
    dims = [frame.dim for site in sites for frame in site["cond_indep_stack"] if frame.vectorized]
    return -min(dims) if dims else 0


def _starting(strategy: Callable[..., Any], flat: Collection[str]) -> Callable[..., Any]:
    """The strategy, with random points for curved sites where it is Pyro's default, or knows no transform for them."""
    uniform = getattr(strategy, "func", strategy) is init_to_uniform

    def start(site: dict[str, Any]) -> Tensor:
        fn = site["fn"]
        if fn.has_enumerate_support:
            return fn.sample()
        motion = None if site["name"] in flat else motion_of(fn)
        if motion is None:
            return strategy(site)
        if not uniform:
            try:
                return strategy(site)
            except NotImplementedError:
                pass
        return motion.random(_like(fn))

    return start


def _like(fn: Any) -> Tensor:
    """A tensor of the shape of a draw and of its dtype and device, as far as they show without drawing."""
    known = [getattr(fn, name, None) for name in fn.arg_constraints]
    tensors = [value for value in known if isinstance(value, Tensor) and value.is_floating_point()]
    if tensors:
        return tensors[0].new_zeros(fn.shape())
    try:
        return torch.zeros_like(fn.sample())
    except NotImplementedError:
        return torch.zeros(fn.shape())
