"""How the EM algorithm sees a kind of law: log densities, sufficient statistics and their maximum of the likelihood.

The parameters of `starts` mixtures of `components` laws are one distribution of batch shape `(starts, components)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Family", "family_of", "register_family", "unit"]

_FAMILIES: dict[type, type["Family"]] = {}


def register_family(kind: type) -> Any:
    """A decorator of the `Family` that fits mixtures of `kind`."""

    def enter(family: type["Family"]) -> type["Family"]:
        _FAMILIES[kind] = family
        return family

    return enter


def family_of(kind: type, *, most: float = 1e6, tied: bool = False, space: Any = None) -> "Family":
    """The family of a kind of law, or a ValueError that lists those there are."""
    for known, family in _FAMILIES.items():
        if kind is known:
            if tied and not family.can_tie:
                raise ValueError(
                    f"concentration: expected 'free' for {kind.__name__}, which has no single one, got 'tied'"
                )
            return family(kind, most, tied, space)
    names = ", ".join(known.__name__ for known in _FAMILIES)
    raise ValueError(f"kind: expected one of the classes {names}, got {kind!r}")


class Family(ABC):
    """What EM needs of a kind of law. `s` are starts, `k` components, `b` the points of a block.

    Args:
        kind: The class of the laws.
        most: Bound on the concentration: where points are copies of each other the likelihood has none.
        tied: Whether all components share one concentration.
        space: Where the points live, for laws that do not say.
    """

    can_tie = False
    in_blocks = True  # whether statistics of blocks of points add up
    fields: tuple[str, ...]  # names of the parameters

    def __init__(self, kind: type, most: float, tied: bool, space: Any = None) -> None:
        self.kind, self.most, self.tied, self.space = kind, most, tied, space

    def check(self, points: Tensor) -> None:
        """Raise unless points `(m, n)` can be fitted."""
        raise NotImplementedError

    def work_dtype(self, law: Any, points: Tensor) -> torch.dtype:
        """The dtype of the next pass over the points."""
        return torch.float64

    def features(self, block: Tensor) -> Tensor:
        """What log density and statistics are computed from, row by row."""
        return block

    @abstractmethod
    def squared_distances(self, points: Tensor, centres: Tensor) -> Tensor:
        """Squared distances `(m, c)` between points `(m, n)` and centres `(c, n)`, for the start."""

    @abstractmethod
    def log_density(self, law: Any, features: Tensor) -> Tensor:
        """Log densities `(b, s, k)`."""

    @abstractmethod
    def gather(self, law: Any | None, features: Tensor, shares: Tensor) -> Tensor:
        """The block's part `(s, k, ...)` of the statistics, for responsibilities `shares` (b, s, k)."""

    @abstractmethod
    def maximise(self, statistic: Tensor, mass: Tensor, law: Any | None) -> Any:
        """The law of the largest likelihood for statistics `(s, k, ...)` and masses `(s, k)`."""

    @abstractmethod
    def at_bound(self, law: Any) -> Tensor:
        """Whether a component `(s, k)` meets the bound."""

    def build(self, *parameters: Tensor) -> Any:
        """The laws of parameters in the order of `fields`."""
        return self.kind(*parameters, validate_args=False)

    def take(self, law: Any, index: Any, dtype: torch.dtype) -> Any:
        """The laws at an index of the leading batch dimensions, of a dtype."""
        return self.build(*(getattr(law, field)[index].to(dtype) for field in self.fields))

    def join(self, laws: Sequence[Any], order: Tensor) -> Any:
        """Laws one after the other along the first batch dimension, in an order."""
        return self.build(*(torch.cat([getattr(law, field) for law in laws])[order] for field in self.fields))

    @abstractmethod
    def parameters(self, components: int, n: int) -> int:
        """Number of free parameters of the components together."""


def unit(x: Tensor) -> Tensor:
    """Rows of norm one: float32 norms are off by more than concentrated points differ; zero stays."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)


def products(features: Tensor, shares: Tensor) -> Tensor:
    """Sums of shares times features, `(s, k, n)`, as one matrix product."""
    return (shares.flatten(1).mT @ features).unflatten(0, shares.shape[1:])


def scatters(features: Tensor, shares: Tensor) -> Tensor:
    """Sums of shares times outer products of features, `(s, k, n, n)`."""
    n = features.shape[-1]
    if n <= 32:
        outer = (features[:, :, None] * features[:, None, :]).flatten(1)
        return products(outer, shares).unflatten(-1, (n, n))
    flat = shares.flatten(1)
    sums = [features.mT @ (flat[:, i, None] * features) for i in range(flat.shape[1])]
    return torch.stack(sums).unflatten(0, shares.shape[1:])
