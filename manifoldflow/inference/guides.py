"""Guides with a law of its own for every latent site: von Mises-Fisher, von Mises, Dirichlet, normal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import pyro
import torch
from pyro.infer.autoguide import AutoGuide
from pyro.infer.autoguide.initialization import InitMessenger, init_to_feasible
from pyro.infer.autoguide.utils import deep_setattr, helpful_support_errors
from pyro.infer.importance import vectorized_importance_weights
from pyro.nn.module import PyroModule, PyroParam
from pyro.ops.tensor_utils import periodic_repeat
from torch import Tensor

from .._geomstats import Manifold
from ..checks import as_tensor, check_integer, check_number
from ..manifolds import Hypersphere, Product, Simplex, Torus
from .reparam import space_of
from .site_laws import SiteLaw, cap_radius, family_of, normal_through

__all__ = ["AutoDirichlet", "AutoVonMisesFisher", "GuideQuality", "guide_quality"]


class AutoVonMisesFisher(AutoGuide):
    r"""A guide of independent sites: von Mises-Fisher laws of directions, von Mises laws of angles, normals otherwise.

    Args:
        model: A Pyro model, with its sites on spheres, tori and products as they are: without `auto_reparam`.
        init_loc_fn: Where the means start, as in Pyro's guides.
        init_scale: Spread at the start, in radians for directions and angles; a concentration of
            :math:`1 / \mathrm{scale}^2`.
        create_plates: As in Pyro's guides, for subsampled data.

    A product of spaces gets the laws of its factors. Other sites get independent normals through `biject_to`, as with
    Pyro's `AutoNormal`. All laws are reparameterised (the directions implicitly), so that `Trace_ELBO` has gradients of
    low variance, and `TraceMeanField_ELBO` uses divergences in closed form where there are any.

    Raises:
        ValueError: A site has neither a family nor a bijection, or `init_scale` is not positive.

    >>> def model(data):
    ...     s = pyro.sample("s", SphericalUniform(2))
    ...     with pyro.plate("data", len(data)):
    ...         pyro.sample("x", VonMisesFisher(s, 4.0), obs=data)
    >>> data = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 4.0).sample((50,))
    >>> guide = AutoVonMisesFisher(model)
    >>> svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), pyro.infer.TraceMeanField_ELBO())
    >>> losses = [svi.step(data) for _ in range(100)]
    >>> guide.median()["s"].shape
    torch.Size([3])

    Reference: T. Davidson et al., Hyperspherical variational auto-encoders, UAI 2018, for the law as a posterior; M.
    Figurnov, S. Mohamed and A. Mnih, NeurIPS 2018, for implicit reparameterisation.
    """

    _spaces: ClassVar[tuple[type, ...]] = (Hypersphere, Torus, Product)

    def __init__(
        self,
        model: Callable[..., Any],
        *,
        init_loc_fn: Callable[..., Any] = init_to_feasible,
        init_scale: float = 0.3,
        create_plates: Callable[..., Any] | None = None,
    ) -> None:
        self._init_scale = check_number("init_scale", init_scale, positive=True)
        super().__init__(InitMessenger(init_loc_fn)(model), create_plates=create_plates)

    def _family(self, site: dict[str, Any]) -> SiteLaw:
        space = _space(site)
        if isinstance(space, self._spaces):
            return family_of(space)
        with helpful_support_errors(site):
            return normal_through(site["fn"].support, site["fn"].event_dim)

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        self._families: dict[str, SiteLaw] = {}
        self.laws = PyroModule()
        for name, site in self.prototype_trace.iter_stochastic_nodes():
            self._families[name] = self._family(site)
            parameters = PyroModule()
            for key, start in self._families[name].start(site["value"].detach(), self._init_scale).items():
                # Parameters of the points of one site beyond its plates, of which a law has but one dimension.
                event_dim = start.event_dim + max(0, site["fn"].event_dim - 1) * _of_a_space(site)
                value = full_size(start.value.detach(), event_dim, site["cond_indep_stack"])
                setattr(parameters, key, PyroParam(value, start.constraint, event_dim))
            deep_setattr(self.laws, name, parameters)

    def _values(self, name: str) -> dict[str, Tensor]:
        module = attrgetter(name)(self.laws)
        return {key: getattr(module, key) for key in module._pyro_params}

    def _sites(self) -> Iterator[tuple[str, SiteLaw, dict[str, Tensor]]]:
        if self.prototype_trace is None:
            raise ValueError(f"{type(self).__name__}: expected a guide that has been run, got a new one; call it once")
        for name, _ in self.prototype_trace.iter_stochastic_nodes():
            yield name, self._families[name], self._values(name)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """A draw of every latent site, by its name; takes the model's arguments."""
        if self.prototype_trace is None:
            self._setup_prototype(*args, **kwargs)
        plates = self._create_plates(*args, **kwargs)
        result = {}
        for name, site in self.prototype_trace.iter_stochastic_nodes():
            with ExitStack() as stack:
                for frame in site["cond_indep_stack"]:
                    stack.enter_context(plates[frame.name])
                law = self._families[name].law(**self._values(name))
                result[name] = pyro.sample(name, law.to_event(site["fn"].event_dim - law.event_dim))
        return result

    @torch.no_grad()
    def median(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The middle of every site's law: mean directions and angles, mean compositions, medians of the others."""
        return {name: family.centre(**parameters).clone() for name, family, parameters in self._sites()}

    @torch.no_grad()
    def quantiles(self, quantiles: Sequence[float], *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Quantiles `(q, ...)` of the sites whose coordinates have an order: angles, from half a turn before the mean,
        and real numbers. Directions have `caps` instead.
        """
        found = {}
        for name, family, parameters in self._sites():
            if family.quantiles is not None:
                like = next(iter(parameters.values()))
                found[name] = family.quantiles(as_tensor("quantiles", list(quantiles)).to(like), **parameters)
        return found

    @torch.no_grad()
    def caps(self, level: float = 0.95) -> dict[str, Tensor]:
        """The angle about the mean direction, in radians, within which each direction lies with a probability."""
        level = check_number("level", level, 0, 1)
        sizes = {name: site["fn"].event_shape for name, site in self.prototype_trace.iter_stochastic_nodes()}
        return {
            name: cap_radius(parameters["concentration"], sizes[name][-1], level)
            for name, _, parameters in self._sites()
            if isinstance(_space(self.prototype_trace.nodes[name]), Hypersphere)
        }


class AutoDirichlet(AutoVonMisesFisher):
    """A guide with Dirichlet laws of the sites on simplices; the others as with `AutoVonMisesFisher`.

    Takes the same arguments.

    >>> def model():
    ...     p = pyro.sample("p", Dirichlet(torch.ones(3)))
    ...     pyro.sample("counts", pyro.distributions.Multinomial(10, p), obs=torch.tensor([2.0, 3.0, 5.0]))
    >>> guide = AutoDirichlet(model)
    >>> guide()["p"].sum()
    tensor(1.)
    """

    _spaces: ClassVar[tuple[type, ...]] = (*AutoVonMisesFisher._spaces, Simplex)


def _space(site: dict[str, Any]) -> Manifold | None:
    law = site["fn"]
    return space_of(law.support, law.event_shape[-1]) if law.event_shape else None


def _of_a_space(site: dict[str, Any]) -> bool:
    return _space(site) is not None


def full_size(value: Tensor, event_dim: int, frames: Any) -> Tensor:
    """Values of a subsample, repeated for the whole plate; a copy, since training changes it."""
    for frame in frames:
        full = frame.full_size or frame.size
        if full != frame.size:
            value = periodic_repeat(value, full, frame.dim - event_dim).contiguous()
    return value.clone()


class GuideQuality(NamedTuple):
    """How near a guide is to the posterior, by importance weights of its draws.

    Attributes:
        elbo: Estimate of the evidence's lower bound, in nats: the mean of log weights.
        elbo_error: Its standard error.
        effective: The effective number of posterior draws in each draw of the guide, from 0 to 1:
            (sum of weights)^2 / sum of squares, divided by the number of draws.
    """

    elbo: float
    elbo_error: float
    effective: float


@torch.no_grad()
def guide_quality(
    model: Callable[..., Any],
    guide: Callable[..., Any],
    *args: Any,
    draws: int = 1000,
    max_plate_nesting: int = 1,
    **kwargs: Any,
) -> GuideQuality:
    """The lower bound and the effective sample size of a guide, over draws made at once.

    Args:
        model: A Pyro model that can be run in an outer plate.
        guide: Its guide.
        *args: Their arguments.
        draws: How many, at least 2.
        max_plate_nesting: The greatest number of plates inside each other.
        **kwargs: Their keyword arguments.

    Raises:
        ValueError: `draws` is less than 2.

    >>> def model():
    ...     return pyro.sample("s", SphericalUniform(2))
    >>> guide = AutoVonMisesFisher(model, init_scale=1.0)
    >>> _ = guide()
    >>> quality = guide_quality(model, guide)
    >>> quality.effective < 1
    True

    Reference: arXiv 1802.02538, for importance weights as a check of guides.
    """
    check_integer("draws", draws, 2)
    check_integer("max_plate_nesting", max_plate_nesting, 0)
    weights = vectorized_importance_weights(
        model, guide, *args, num_samples=draws, max_plate_nesting=max_plate_nesting, **kwargs
    )[0].double()
    shares = (weights - weights.logsumexp(0)).exp()
    effective = 1 / (draws * float(shares.square().sum()))
    return GuideQuality(float(weights.mean()), float(weights.std() / draws**0.5), effective)
