"""Latent sites on spheres, tori and products as normal vectors, for any sampler or guide that wants R^n."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, ClassVar, Self, overload

import pyro
import torch
from pyro.distributions import Delta, ProjectedNormal, TorchDistribution
from pyro.distributions.constraints import sphere
from pyro.distributions.torch_distribution import MaskedDistribution
from pyro.infer.reparam import ProjectedNormalReparam
from pyro.infer.reparam.reparam import Reparam
from pyro.infer.reparam.strategies import Strategy
from pyro.poutine.util import prune_subsample_sites
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, VonMises, constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..charts import SimplexConstraint
from ..checks import describe
from ..distributions.constraints import OnSpace
from ..manifolds import Hypersphere, Simplex
from .onto import OF_MIXTURES, Angle, Onto, has_onto, onto

__all__ = ["AutoReparam", "Lifted", "ManifoldReparam", "SphereReparam", "auto_reparam", "sites", "space_of"]


@singledispatch
def space_of(support: Constraint, size: int) -> Manifold | None:
    """The space that a support is, of points with `size` coordinates; None where the library knows of none.

    `space_of.register` teaches it a new kind of constraint.

    >>> space_of(sphere, 3)
    Hypersphere(2)
    """
    return None


@space_of.register(type(sphere))
def _(support: Constraint, size: int) -> Manifold:
    return Hypersphere(size - 1)


@space_of.register
def _(support: OnSpace, size: int) -> Manifold:
    return support.space


@space_of.register(type(constraints.simplex))
@space_of.register(SimplexConstraint)
def _(support: Constraint, size: int) -> Manifold:
    return Simplex(size - 1)


def _of_the_base(support: Any, size: int) -> Manifold | None:
    return space_of(support.base_constraint, size)


for _kind in (constraints.independent, OF_MIXTURES):
    if _kind is not None:
        space_of.register(_kind, _of_the_base)


@singledispatch
def onto_of(law: Distribution) -> Onto | None:
    """The map of R^m onto the points of a law; None where it has none, or is known to torch as a bijection."""
    if not law.event_shape:
        return None
    try:
        support = law.support
    except NotImplementedError:  # torch's way to say that a law has no one support
        return None
    space = None if support is None else space_of(support, law.event_shape[-1])
    if space is None or not has_onto(space):
        return None
    found = onto(space)
    return None if found.bijective else found


@onto_of.register(Independent)
@onto_of.register(MaskedDistribution)
def _(law: Any) -> Onto | None:
    return onto_of(law.base_dist)


@onto_of.register
def _(law: VonMises) -> Onto:
    return Angle()  # torch calls its support the real line, where the density has no integral


class Lifted(TorchDistribution):
    r"""The law of a vector z of R^m whose image on a manifold has a given law.

    .. math:: q(z) = p(s(z)) \, q(z \mid s(z))

    On a sphere s(z) = z / \|z\|, and the norm has the chi distribution: for a uniform p, z is standard normal.

    Args:
        law: A law of points.
        onto: The map of R^m onto them.

    Draws are exact, and differentiable if those of the law are.

    >>> law = Lifted(SphericalUniform(2), onto(Hypersphere(2)))
    >>> law.log_prob(torch.zeros(3)), torch.distributions.Normal(0.0, 1.0).log_prob(torch.zeros(3)).sum()
    (tensor(-2.7568), tensor(-2.7568))
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, law: TorchDistribution, onto: Onto, *, validate_args: bool | None = None) -> None:
        self.law, self.onto = law, onto
        outer = len(law.event_shape) - onto.codomain.event_dim
        shape = (*law.event_shape[:outer], onto.size)
        super().__init__(law.batch_shape, Size(shape), validate_args=validate_args)

    def __repr__(self) -> str:
        return f"Lifted({type(self.law).__name__}, batch={tuple(self.batch_shape)}, event={tuple(self.event_shape)})"

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def has_rsample(self) -> bool:
        return self.law.has_rsample

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = self._get_checked_instance(Lifted, _instance)
        Lifted.__init__(new, self.law.expand(batch_shape), self.onto, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to Lebesgue measure on R^m."""
        if self._validate_args:
            self._validate_sample(value)
        fibre = self.onto.log_fibre(value)
        outer = len(self.event_shape) - 1
        return self.law.log_prob(self.onto(value)) + (fibre.flatten(-outer).sum(-1) if outer else fibre)

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Draws, without gradients."""
        with torch.no_grad():
            return self.onto.lift(self.law.sample(sample_shape))

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Draws, differentiable in the parameters of the law."""
        return self.onto.lift(self.law.rsample(sample_shape))


class ManifoldReparam(Reparam):
    """A latent point of a manifold as a real vector: its image under a map onto the manifold, with the exact density.

    The site `NAME` becomes deterministic, and a site `NAME_normal` takes its place, with the law `Lifted`: for a sphere
    a vector of R^n whose direction the point is, for a torus a vector of the plane for each angle. Real and simplex
    factors of a product keep their own coordinates. No point is singled out, so that samplers see no pole.

    Plates, batches, `to_event` and masks are kept; running the model forwards draws from the prior. Observed sites are
    left alone. Conditions go inside, `auto_reparam(poutine.condition(model, data))`: outside, a value that differs
    from the site's has the probability 0.

    Raises:
        ValueError: The site's support has no such map.

    >>> def model():
    ...     return pyro.sample("s", VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 5.0))
    >>> trace = pyro.poutine.trace(pyro.poutine.reparam(model, {"s": ManifoldReparam()})).get_trace()
    >>> trace.stochastic_nodes
    ['s_normal']
    """

    def apply(self, msg: Any) -> Any:
        """Pyro's interface: the new law and value of a site."""
        name, law, value = msg["name"], msg["fn"], msg["value"]
        if msg["is_observed"]:
            return {"fn": law, "value": value, "is_observed": True}
        found = self.onto_of(name, law)
        start = None if value is None else found.inv(value)
        z = pyro.sample(f"{name}_normal", _lifted(law, found), obs=start, infer={"is_observed": False})
        # An initial value is kept as it came, unless another handler put its own vector in place.
        point = value if start is not None and z is start else found(z)
        # Without a mask: a value that a condition outside puts here is found out.
        return {"fn": Delta(point, event_dim=law.event_dim), "value": point, "is_observed": True}

    def onto_of(self, name: str, law: Any) -> Onto:
        """The map onto the law's points."""
        found = onto_of(law)
        if found is None:
            raise ValueError(
                f"site {name!r}: expected a law on a sphere, a torus or a product with one, got {describe(law)} with "
                f"support {getattr(law, 'support', None)}; leave the site to biject_to, or use auto_reparam, which does"
            )
        return found


class SphereReparam(ManifoldReparam):
    """A latent direction as the direction of a normal vector: `ManifoldReparam` for sites on a sphere.

    Any law of unit vectors will do, its density taken with respect to surface area: with x = g / |g|, g standard
    normal, the density p of x is the factor p(x) area on g.

    Raises:
        ValueError: The site is not on a sphere.

    >>> def model():
    ...     return pyro.sample("s", SphericalUniform(2))
    >>> kernel = pyro.infer.NUTS(pyro.poutine.reparam(model, {"s": SphereReparam()}))

    Reference: M. Betancourt in the Stan reference manual, Unit vector transform.
    """

    def onto_of(self, name: str, law: Any) -> Onto:
        """The map onto the sphere."""
        found = onto_of(law)
        if found is None or found.codomain is not sphere:
            raise ValueError(
                f"site {name!r}: expected a law of unit vectors, got {describe(law)} with support "
                f"{getattr(law, 'support', None)}; use ManifoldReparam or auto_reparam"
            )
        return found


@singledispatch
def _lifted(law: Any, found: Onto) -> TorchDistribution:
    return Lifted(law, found)


@_lifted.register
def _(law: MaskedDistribution, found: Onto) -> TorchDistribution:
    return _lifted(law.base_dist, found).mask(law._mask)


class AutoReparam(Strategy):
    """Pyro's strategy that reparameterises latent sites on spheres, tori and products with one, and no others.

    What a site is, its law's support says (`space_of`); torch's `VonMises` and Pyro's `ProjectedNormal` are known too.

    >>> @AutoReparam()
    ... def model():
    ...     return pyro.sample("s", SphericalUniform(2))
    """

    def __call__(self, msg_or_fn: Any) -> Any:
        """A model, or Pyro's message: an observed site is left alone each time, and not remembered."""
        if isinstance(msg_or_fn, dict) and msg_or_fn["is_observed"]:
            return None
        return super().__call__(msg_or_fn)

    def configure(self, msg: dict[str, Any]) -> Reparam | None:
        """The reparameterisation of one site, or None."""
        return reparam_of(msg["fn"])


@singledispatch
def reparam_of(law: Any) -> Reparam | None:
    """The reparameterisation that a law needs, or None."""
    return None if onto_of(law) is None else ManifoldReparam()


@reparam_of.register(Independent)
@reparam_of.register(MaskedDistribution)
def _(law: Any) -> Reparam | None:
    return reparam_of(law.base_dist)


@reparam_of.register
def _(law: ProjectedNormal) -> Reparam:
    return ProjectedNormalReparam()  # exact in every dimension, where its density is known in few


@overload
def auto_reparam(model: None = None) -> AutoReparam: ...
@overload
def auto_reparam(model: Callable[..., Any]) -> Callable[..., Any]: ...
def auto_reparam(model: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The model with every latent direction, angle and product of these as real vectors.

    `NUTS`, `HMC`, Pyro's automatic guides and `SVI` then take it as they take any other. Samples hold the vectors
    `NAME_normal`; `sites(model, samples)`, or Pyro's `Predictive`, gives the points themselves.

    Args:
        model: A Pyro model; without one, the strategy itself, for `poutine.reparam` or as a decorator.

    >>> @auto_reparam
    ... def model(data):
    ...     s = pyro.sample("s", SphericalUniform(2))
    ...     with pyro.plate("data", len(data)):
    ...         pyro.sample("x", VonMisesFisher(s, 4.0), obs=data)
    >>> data = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 4.0).sample((50,))
    >>> mcmc = pyro.infer.MCMC(pyro.infer.NUTS(model), num_samples=100, warmup_steps=50, disable_progbar=True)
    >>> mcmc.run(data)
    >>> sites(model, mcmc.get_samples(), data)["s"].shape
    torch.Size([100, 3])
    """
    strategy = AutoReparam()
    return strategy if model is None else strategy(model)


def sites(
    model: Callable[..., Any], samples: dict[str, Tensor], *args: Any, group_by_chain: bool = False, **kwargs: Any
) -> dict[str, Tensor]:
    """Every latent and deterministic site of a model at draws of its latent ones, without sampling anything else.

    Args:
        model: A Pyro model, as it was given to a kernel or a guide.
        samples: Draws by the names of the sites, each `(draws, ...)`, as `MCMC.get_samples` returns them.
        *args: The model's arguments, as it was run with.
        group_by_chain: Whether the draws are `(chains, draws, ...)`.
        **kwargs: The model's keyword arguments.

    Returns:
        The draws, and beside them the points of reparameterised sites and values of `pyro.deterministic`.

    Raises:
        ValueError: There are no draws, or a latent site of the model has none.
    """
    batch = 2 if group_by_chain else 1
    if not isinstance(samples, dict) or not samples or any(value.dim() < batch for value in samples.values()):
        raise ValueError(
            f"samples: expected tensors by the names of sites, with {batch} leading dimensions of draws, got "
            f"{describe(samples)}; pass mcmc.get_samples({'group_by_chain=True' if group_by_chain else ''})"
        )
    shape = next(iter(samples.values())).shape[:batch]
    rows = {name: value.flatten(0, 1) if group_by_chain else value for name, value in samples.items()}
    found: dict[str, list[Tensor]] = {}
    for i in range(shape.numel()):
        for name, value in _deterministic(model, {name: value[i] for name, value in rows.items()}, args, kwargs):
            found.setdefault(name, []).append(value)
    return {**samples, **{name: torch.stack(values).unflatten(0, shape) for name, values in found.items()}}


def _deterministic(
    model: Callable[..., Any], values: dict[str, Tensor], args: Any, kwargs: Any
) -> list[tuple[str, Tensor]]:
    with torch.no_grad():
        conditioned = pyro.poutine.condition(model, values)
        masked = pyro.poutine.mask(conditioned, mask=False)
        trace = prune_subsample_sites(pyro.poutine.trace(masked).get_trace(*args, **kwargs))
    unknown = [name for name, _ in trace.iter_stochastic_nodes()]
    if unknown:
        raise ValueError(
            f"samples: expected draws of every latent site, got none of {', '.join(unknown)}; pass the model that was "
            "sampled"
        )
    return [(name, trace.nodes[name]["value"]) for name in trace.observation_nodes if _is_point(trace.nodes[name])]


def _is_point(site: dict[str, Any]) -> bool:
    law = site["fn"]
    while isinstance(law, (Independent, MaskedDistribution)):
        law = law.base_dist
    return isinstance(law, Delta)
