"""What is known about a law, in one place: each distribution's own file registers it with `law_of`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from ..checks import check_number
from ..manifolds import Euclidean, Hypersphere, Simplex
from .lifts import Coordinates, Lift, Shifted

__all__ = ["Law", "LogDensityLaw", "Statistic", "block_sizes", "coordinates_law", "law_of", "lift_of"]


class LogDensityLaw(NamedTuple):
    """The law of the log-density of a draw.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation.
        log_tails: From points to the logs of the probabilities that a draw is less, and more, probable than they are.
        log_prob: From points to their log-density.
    """

    mean: Tensor
    deviation: Tensor
    log_tails: Callable[[Tensor], tuple[Tensor, Tensor]]
    log_prob: Callable[[Tensor], Tensor]


class Statistic(NamedTuple):
    """The one number of a point that tells most about where it stands under a law.

    Attributes:
        title: What it is, as figures say it.
        of: From points `(*batch, *event)` to numbers `(*batch,)`.
    """

    title: str
    of: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Law:
    """What the library knows about a base distribution; `law_of(base)` gives it.

    Make one with `Law.of`, which fills in what follows from the distribution itself.

    Attributes:
        base: The distribution; None is the standard normal of any event shape, a list stands for bases whose
            coordinates follow one another.
        title: Its name in sentences and tables.
        space: The manifold of its points, if it is known.
        lift: The map to independent parts that law-preserving combinations need; None if none is known.
        coordinates: The law of independent coordinates with `cdf` and `icdf`, if it has them.
        log_density: From a number of draws to the law of the log-density of a draw. The draws are only used where it
            is not known in closed form.
        statistic: The number of a point to show beside its law.
        is_standard: Whether it is the standard normal.
        is_uniform: Whether the density is the same everywhere.
        is_convex: Whether straight lines between its points stay where it lives.
        is_unbounded: Whether it lives on all of R^n.
        variational: From two outputs of a network, each `(rows, n)` and unconstrained, to a distribution of the same
            family, for a variational autoencoder; None for a Gaussian.
        tempered: From a temperature T to the distribution whose density is proportional to this one's density to the
            power 1 / T^2; None if it is not known. Call it as `Law.at`.
        blocks: The laws of the bases in a list, otherwise empty.
    """

    base: Any
    title: str
    space: Any
    lift: Lift | None
    coordinates: Distribution | None
    log_density: Callable[[int], LogDensityLaw]
    statistic: Statistic
    is_standard: bool = False
    is_uniform: bool = False
    is_convex: bool = False
    is_unbounded: bool = False
    variational: Callable[[Tensor, Tensor], Distribution] | None = None
    tempered: Callable[[float], Any] | None = None
    blocks: tuple[Law, ...] = ()

    def __repr__(self) -> str:
        return f"Law({self.title!r}, space={self.space!r}, lift={self.lift!r})"

    @classmethod
    def of(cls, base: Any, title: str = "", **known: Any) -> Law:
        """A law with what is `known`, and defaults for the rest.

        The space is the base's `manifold`, the law of the log-density comes from draws, the statistic is the
        log-density. Nothing else is taken for granted: without a `lift` no method that needs one is offered.
        """
        space = known.get("space", getattr(base, "manifold", None))
        flat = isinstance(space, Euclidean)
        defaults = {
            "space": space,
            "lift": None,
            "coordinates": None,
            "log_density": partial(sampled_log_density, base),
            "statistic": Statistic("base log-density (nats)", lambda points: base.log_prob(points)),
            "is_convex": flat or isinstance(space, Simplex),
            "is_unbounded": flat,
        }
        return cls(base=base, title=title or type(base).__name__, **{**defaults, **known})

    @property
    def size(self) -> float:
        """Number of coordinates of a point; infinite where any number will do."""
        if self.blocks:
            return sum(block.size for block in self.blocks)
        return math.inf if self.base is None else self.base.event_shape.numel()

    @property
    def is_flat(self) -> bool:
        """Whether its points are vectors with no geometry but that of R^n."""
        return self.space is None or isinstance(self.space, Euclidean)

    @property
    def on_sphere(self) -> bool:
        """Whether its points lie on a hypersphere."""
        return isinstance(self.space, Hypersphere)

    def at(self, temperature: float) -> Any:
        """The distribution with a density proportional to the base's to the power 1 / T^2, T being the temperature.

        Of a Gaussian, this multiplies the standard deviation by T; below 1 draws are closer to the mode.

        Raises:
            ValueError: `temperature` is not positive and finite, or such a distribution is not known, or has no
                integral.

        >>> from manifoldflow import VonMisesFisher
        >>> float(law_of(VonMisesFisher(torch.eye(3)[0], 5.0)).at(0.5).concentration)
        20.0
        """
        temperature = check_number("temperature", temperature, positive=True)
        if temperature == 1:
            return self.base
        if self.tempered is None:
            raise ValueError(f"temperature: expected 1 for {self.title}, whose powers are not known, got {temperature}")
        return self.tempered(temperature)

    @property
    def has_lift(self) -> bool:
        """Whether combinations that preserve the law are known."""
        return self.lift is not None or (bool(self.blocks) and all(block.has_lift for block in self.blocks))


def sampled_log_density(base: Any, samples: int) -> LogDensityLaw:
    """The empirical law of the log-density of `samples` draws.

    Raises:
        ValueError: A batch of distributions, or a density that is the same everywhere.
    """
    with torch.no_grad():
        drawn = base.log_prob(base.sample((samples,))).double()
    ordered = drawn.sort(0).values
    if ordered.ndim > 1:
        raise ValueError(
            f"base: expected one distribution, got a batch of shape {tuple(ordered.shape[1:])}; take them one by one"
        )
    if bool(ordered[0] == ordered[-1]):
        constant_log_density(samples)

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        value = base.log_prob(points).double().detach().contiguous()
        below = (torch.searchsorted(ordered, value) + torch.searchsorted(ordered, value, right=True)) / 2
        # Draws of the same density count half, and so does the point itself, so that no tail is empty.
        share = (below.double() + 0.5) / (samples + 1)
        return share.log(), torch.log1p(-share)

    return LogDensityLaw(drawn.mean(), drawn.std(), log_tails, base.log_prob)


def constant_log_density(samples: int) -> LogDensityLaw:
    """What a uniform law says when asked for the law of its log-density: it raises ValueError."""
    raise ValueError(
        "base: the uniform distribution has one density everywhere, so every point is as typical as any other"
    )


@singledispatch
def law_of(base: Any) -> Law:
    """What the library knows about a base distribution; `law_of.register` teaches it a new one.

    Args:
        base: A distribution, or its law itself; None for the standard normal; or a list of distributions of vectors,
            whose coordinates stand one after the other.

    Returns:
        Its `Law`. An unknown distribution has `lift=None` and whatever follows from its own methods.

    Raises:
        TypeError: Something that is not a distribution.

    >>> law_of(torch.distributions.Laplace(0.0, 1.0)).has_lift
    True
    """
    if not (hasattr(base, "log_prob") and hasattr(base, "sample")):
        raise TypeError(
            f"base: expected a distribution, a list of them or None (the standard normal), got {type(base).__name__}"
        )
    return Law.of(base)


@law_of.register
def _(base: Law) -> Law:
    return base


@law_of.register(type(None))
def _(base: None) -> Law:
    return Law.of(
        base,
        "standard normal",
        lift=Shifted(),
        coordinates=Normal(0.0, 1.0, validate_args=False),
        is_standard=True,
        is_convex=True,
        is_unbounded=True,
    )


@law_of.register(list)
@law_of.register(tuple)
def _(base: Sequence[Any]) -> Law:
    if not base:
        raise ValueError("base: expected bases with coordinates, got an empty list")
    blocks = tuple(law_of(one) for one in base)
    return Law.of(
        base,
        " and ".join(block.title for block in blocks),
        blocks=blocks,
        is_convex=all(block.is_convex for block in blocks),
        is_unbounded=all(block.is_unbounded for block in blocks),
    )


@law_of.register
def _(base: Distribution) -> Law:
    return Law.of(base) if base.event_shape else coordinates_law(base, base)


def coordinates_law(base: Distribution, coordinate: Distribution) -> Law:
    """The law of independent coordinates, each with the law `coordinate`, as far as that knows its quantiles."""
    title = type(coordinate).__name__
    space = getattr(base, "manifold", None)
    if space is None and len(base.event_shape) == 1:
        space = Euclidean(base.event_shape[0])
    try:
        support = coordinate.support
    except NotImplementedError:
        support = None
    ends = getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)
    known = {"space": space, "is_convex": True, "is_unbounded": not any(_is_finite(end) for end in ends)}
    if has_quantiles(coordinate):
        event_dim = max(1, len(base.event_shape))
        known |= {"lift": Coordinates(coordinate, event_dim), "coordinates": coordinate}
    return Law.of(base, title, **known)


def _is_finite(end: Any) -> bool:
    return bool(torch.as_tensor(end).isfinite().any())


def has_quantiles(law: Any) -> bool:
    """Whether a distribution knows its distribution function and the inverse; torch's raise where they do not."""
    try:
        law.cdf(law.icdf(torch.tensor(0.5)))
    except (AttributeError, NotImplementedError):
        return False
    return True


def lift_of(base: Any) -> Lift:
    """The lift of a base distribution, None standing for the standard normal.

    Raises:
        ValueError: No combination that preserves the law is known.
    """
    law = law_of(base)
    if law.lift is None:
        raise ValueError(
            f"base: no combination that preserves {law.title} is known; interpolation.methods_for(base) lists the "
            "methods that suit it, and docs/extending.md shows how to register a lift"
        )
    return law.lift


def block_sizes(bases: Sequence[Any], n: int) -> list[int]:
    """Numbers of coordinates of bases that stand one after the other, which must be n together."""
    shapes = [tuple(base.event_shape) for base in bases]
    if any(len(shape) != 1 for shape in shapes) or sum(shape[0] for shape in shapes) != n:
        raise ValueError(f"base: expected bases with {n} coordinates together, got event shapes {shapes}")
    return [shape[0] for shape in shapes]
