"""A guide by one-pass flows: all latent sites of a model at once, wherever they live."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import pyro
import torch
from pyro.distributions import Delta, Distribution
from pyro.infer.autoguide import AutoGuide
from pyro.infer.autoguide.initialization import InitMessenger, init_to_feasible
from pyro.infer.autoguide.utils import helpful_support_errors
from pyro.nn.module import PyroModule, PyroParam
from torch import Tensor
from torch.distributions import constraints, register_kl

from ..checks import as_tensor, check_integer, check_number
from ..flows import Flow, flow_on
from ..flows.matching.fields import features
from ..manifolds import Product
from .guides import full_size
from .placed import Piece, pieces_of_site, place_on

__all__ = ["AutoManifoldFlow"]

_MEMORY = 8
"""What a flow knows of one position of a plate: so many learned numbers."""


class Image(Delta):
    """A point with the log-density that the map to it leaves: minus its log-volume."""


@register_kl(Image, Distribution)
def _kl_of_an_image(image: Image, law: Distribution) -> Tensor:
    # Pyro's divergence of a Delta forgets its density.
    return image.log_density - law.log_prob(image.v)


class Slot(NamedTuple):
    """Where the point of a piece is: in which factor of a group's space, and at which coordinates."""

    piece: Piece
    factor: int
    first: int

    def of(self, points: list[Tensor]) -> Tensor:
        """The piece's own coordinates."""
        return points[self.factor][..., self.first : self.first + self.piece.size]


class Group:
    """The sites in the same plates, as points of one space: all angles, then each direction, then all numbers.

    Args:
        key: Its name.
        plates: The names of the plates.
        sites: Of the model's trace.
    """

    def __init__(self, key: str, plates: tuple[str, ...], sites: list[dict[str, Any]]) -> None:
        self.key, self.plates, self.sites = key, plates, sites
        self.frames = sites[0]["cond_indep_stack"]
        pieces = []
        for site in sites:
            with helpful_support_errors(site):
                pieces.append(pieces_of_site(site["fn"]))
        kinds: list[list[Piece]] = []  # of each factor: the pieces of one pool, or one piece alone
        self.slots: list[list[Slot]] = []
        for some in pieces:
            self.slots.append([])
            for piece in some:
                factor = next(
                    (i for i, kind in enumerate(kinds) if piece.pool and kind[0].pool is piece.pool), len(kinds)
                )
                kinds += [[]] * (factor == len(kinds))
                first = sum(other.size for other in kinds[factor])
                kinds[factor] = [*kinds[factor], piece]
                self.slots[-1].append(Slot(piece, factor, first))
        self.factors = [k[0].pool(sum(p.size for p in k)) if k[0].pool else k[0].space for k in kinds]
        self.places: list[list[str]] = [[] for _ in self.factors]  # of each factor: what its place has as parameters
        self.space = self.factors[0] if len(self.factors) == 1 else Product(self.factors)
        self.width = features(self.space, torch.zeros(1, *self.space.shape)).shape[-1]

    def take(self) -> list[Tensor]:
        """The points of the factors in the model's trace."""
        found: list[list[Tensor]] = [[] for _ in self.factors]
        for site, slots in zip(self.sites, self.slots):
            value = site["value"].detach()
            flat = value.reshape(*value.shape[: value.dim() - site["fn"].event_dim], -1)
            for slot, part in zip(slots, flat.split([slot.piece.width for slot in slots], -1)):
                found[slot.factor].append(slot.piece.take(part))
        batch = torch.broadcast_shapes(*(x.shape[:-1] for parts in found for x in parts))
        return [torch.cat([x.expand(*batch, -1) for x in parts], -1) for parts in found]

    def split(self, point: Tensor) -> list[Tensor]:
        """The points of the factors."""
        return self.space.split(point) if len(self.factors) > 1 else [point]

    def put(self, points: list[Tensor]) -> Iterator[tuple[dict[str, Any], Tensor, Tensor]]:
        """From the points of the factors, of each site its value and the log-volume."""
        for site, slots in zip(self.sites, self.slots):
            values, changes = zip(*(slot.piece.put(slot.of(points)) for slot in slots))
            value, law = torch.cat(values, -1), site["fn"]
            yield site, value.reshape(value.shape[:-1] + law.event_shape).to(site["value"].dtype), sum(changes)

    def ordered(self) -> Iterator[str]:
        """The names of the sites whose coordinates are numbers with an order."""
        return (s["name"] for s, slots in zip(self.sites, self.slots) if all(slot.piece.ordered for slot in slots))

    def middle(self, draws: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Of each site the middle of draws `(count, ...)`."""
        for site, slots in zip(self.sites, self.slots):
            draw = draws[site["name"]]
            flat = draw.reshape(*draw.shape[: draw.dim() - site["fn"].event_dim], -1)
            parts = zip(slots, flat.split([slot.piece.width for slot in slots], -1))
            yield site["name"], torch.cat([slot.piece.middle(x) for slot, x in parts], -1).reshape(draw.shape[1:])


class AutoManifoldFlow(AutoGuide):
    r"""A guide that is one flow of all latent sites together: directions, angles, compositions, numbers, products.

    A uniform point of the sphere for every direction, uniform angles for all angles and a normal vector for all numbers
    go through a `ProductFlow` (a flow of one space where there is but one kind), which bends each given the others.
    Then each is brought to its place: numbers by a shift and a scale, directions and angles by a dilation about a
    centre. Simplices take part by their isometric log-ratios, as in `SimplexFlow`, other constrained sites by
    `biject_to`. So correlations between sites of any kind, several modes and bent ridges are within reach, where
    `AutoVonMisesFisher` has independent sites with one mode each.

    Sites in plates get one flow for each combination of plates, shared by all positions. It reads the sites of the
    enclosing plates, and some learned numbers of each position; the centres and scales are each position's own. So
    positions are independent given the sites outside, and subsampling works.

    Args:
        model: A Pyro model, with its sites on spheres, tori and products as they are: without `auto_reparam`.
        init_loc_fn: Where the centres start, as in Pyro's guides.
        init_scale: Spread at the start: of numbers their standard deviation, of directions and angles roughly the angle
            within which half of them lie, in radians; from pi / 2 on they are uniform. Guides of a posterior with
            several modes should start wide, those of many data narrow.
        transforms: Number of rounds of each flow; None for the flow's default.
        bins: Bins of each spline, at least 2.
        hidden: Width of the two hidden layers of each network.
        create_plates: As in Pyro's guides, for subsampled data.

    Draws are differentiable, and value and density come from one pass of the layers. All of Pyro's ELBOs are right with
    this guide; none has divergences in closed form.

    Raises:
        ValueError: A site has neither a flow nor a bijection, or an argument is out of its range.

    >>> def model(data):
    ...     s = pyro.sample("s", SphericalUniform(2))
    ...     kappa = pyro.sample("kappa", pyro.distributions.Gamma(2.0, 0.1))
    ...     with pyro.plate("data", len(data)):
    ...         pyro.sample("x", VonMisesFisher(s, kappa), obs=data)
    >>> data = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 4.0).sample((50,))
    >>> guide = AutoManifoldFlow(model, init_scale=0.3)
    >>> svi = pyro.infer.SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.01}), pyro.infer.Trace_ELBO())
    >>> losses = [svi.step(data) for _ in range(5)]
    >>> guide(data)["s"].shape
    torch.Size([3])

    Reference: D. J. Rezende and S. Mohamed, Variational inference with normalizing flows, ICML 2015, for flows as
    guides; D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428), for the flows.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        *,
        init_loc_fn: Callable[..., Any] = init_to_feasible,
        init_scale: float = 1.0,
        transforms: int | None = None,
        bins: int = 8,
        hidden: int = 32,
        create_plates: Callable[..., Any] | None = None,
    ) -> None:
        self._init_scale = check_number("init_scale", init_scale, positive=True)
        self._options = {"bins": check_integer("bins", bins, 2), "hidden": check_integer("hidden", hidden)}
        if transforms is not None:
            self._options["transforms"] = check_integer("transforms", transforms)
        super().__init__(InitMessenger(init_loc_fn)(model), create_plates=create_plates)

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        sites: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for _, site in self.prototype_trace.iter_stochastic_nodes():
            sites.setdefault(tuple(sorted(frame.name for frame in site["cond_indep_stack"])), []).append(site)
        outer_first = enumerate(sorted(sites, key=lambda plates: (len(plates), plates)))
        self._groups = [Group(f"flow{i}", plates, sites[plates]) for i, plates in outer_first]
        if not self._groups:
            raise ValueError("model: expected latent sites, got none; a guide has nothing to do")
        self.flows, self.places = PyroModule(), PyroModule()
        for group in self._groups:
            self._build(group)

    def _build(self, group: "Group") -> None:
        points = group.take()
        places = PyroModule()
        for i, (factor, point) in enumerate(zip(group.factors, points)):
            for key, start in place_on(factor).start(point, self._init_scale).items():
                value = full_size(start.value.detach(), start.event_dim, group.frames)
                group.places[i].append(key)
                setattr(places, f"{key}_{i}", PyroParam(value, start.constraint, start.event_dim))
        read = sum(outer.width for outer in self._outside(group))
        if group.frames:
            memory = 0.1 * torch.randn(*points[0].shape[:-1], _MEMORY).to(points[0])
            places.memory = PyroParam(full_size(memory, 1, group.frames), constraints.real, 1)
            read += _MEMORY
        setattr(self.places, group.key, places)
        setattr(self.flows, group.key, flow_on(group.space, context_dim=read, **self._options).to(points[0]))

    def _outside(self, group: "Group") -> Iterator["Group"]:
        """The groups whose plates all enclose this one's sites."""
        return (other for other in self._groups if set(other.plates) < set(group.plates))

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """A draw of every latent site, by its name; takes the model's arguments."""
        if self.prototype_trace is None:
            self._setup_prototype(*args, **kwargs)
        plates = self._create_plates(*args, **kwargs)
        read: dict[str, Tensor] = {}
        result: dict[str, Tensor] = {}
        for group in self._groups:
            with ExitStack() as stack:
                for frame in group.frames:
                    stack.enter_context(plates[frame.name])
                outside = [read[other.key] for other in self._outside(group)]
                read[group.key] = self._draw(group, outside, result)
        return {name: result[name] for name, _ in self.prototype_trace.iter_stochastic_nodes()}

    def _draw(self, group: "Group", outside: list[Tensor], result: dict[str, Tensor]) -> Tensor:
        """Draw the sites of one group, and return what the groups inside read of it."""
        flow: Flow = getattr(self.flows, group.key)
        places = getattr(self.places, group.key)
        start = pyro.sample(f"_{self._pyro_name}_{group.key}", flow.base, infer={"is_auxiliary": True})
        context = None
        if group.plates:
            batch = start.shape[:-1]
            context = torch.cat([a.expand(*batch, -1) for a in [*outside, places.memory]], -1)
        # The way from data to base of a flow that is trained by densities: the one with value and volume in one pass.
        shaped, ladj = flow.encode_and_ladj(start, context)
        moved = []
        for i, (factor, x) in enumerate(zip(group.factors, group.split(shaped))):
            own = {key: getattr(places, f"{key}_{i}") for key in group.places[i]}
            x, change = place_on(factor).move(x, **own)
            moved.append(x)
            ladj = ladj + change
        for site, value, change in group.put(moved):
            law = Image(value, -ladj - change, site["fn"].event_dim)
            result[site["name"]] = pyro.sample(site["name"], law)
            ladj = torch.zeros_like(ladj)  # the first site's density has all of the flow's volume, each its own
        return features(group.space, shaped)

    @torch.no_grad()
    def draws(self, count: int, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Draws `(count, ...)` of every latent site at once.

        Args:
            count: How many, at least 1.
            *args: The model's arguments.
            **kwargs: Its keyword arguments.
        """
        check_integer("count", count)
        if self.prototype_trace is None:
            self._setup_prototype(*args, **kwargs)
        nesting = max((-frame.dim for frame in self._prototype_frames.values()), default=0)
        with pyro.poutine.block(), pyro.plate("_draws", count, dim=-1 - nesting):
            found = self(*args, **kwargs)
        shapes = {name: site["value"].shape for name, site in self.prototype_trace.iter_stochastic_nodes()}
        return {name: value.reshape(count, *shapes[name]) for name, value in found.items()}

    def median(self, *args: Any, draws: int = 1000, **kwargs: Any) -> dict[str, Tensor]:
        """The middle of every site, by draws: medians of numbers, the mean directions, angles and compositions.

        The laws of a flow have no median in closed form. Of several modes a mean direction says little: see `draws`.
        """
        found = self.draws(draws, *args, **kwargs)
        return {name: value for group in self._groups for name, value in group.middle(found)}

    def quantiles(self, quantiles: Sequence[float], *args: Any, draws: int = 4000, **kwargs: Any) -> dict[str, Tensor]:
        """Quantiles `(q, ...)`, by draws, of the sites whose coordinates have an order: all but those of a space."""
        found = self.draws(draws, *args, **kwargs)
        result = {}
        for group in self._groups:
            for name in group.ordered():
                levels = as_tensor("quantiles", list(quantiles)).to(found[name])
                result[name] = found[name].quantile(levels, dim=0)
        return result
