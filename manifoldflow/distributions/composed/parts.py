"""A distribution taken apart into its tensors, and built again from others: of another dtype or device, or learned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, singledispatch
from inspect import Parameter, signature
from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MixtureSameFamily
from torch.distributions.utils import lazy_property

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True)
class Parts:
    """What a distribution consists of.

    Attributes:
        build: From all parts, as keywords, to the distribution.
        tensors: Its own tensors.
        laws: The distributions that it is made of.
        modules: The networks that it is made of.
    """

    build: Callable[..., Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    laws: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)


@singledispatch
def parts_of(law: Any) -> Parts:
    """The parts of a distribution; one that cannot be taken apart is a constant, `Parts(build=...)` alone.

    Those of a class whose constructor takes its `arg_constraints` are known; others register themselves.
    """
    return Parts(partial(_constant, law))


def _constant(law: Any) -> Any:
    return law


@parts_of.register
def _(law: Distribution) -> Parts:
    names = _parameters(law)
    tensors = {name: _as_given(law, name) for name in names}
    wanted = signature(type(law).__init__).parameters
    fixed = [
        name
        for name, entry in list(wanted.items())[1:]
        if entry.default is Parameter.empty and entry.kind is Parameter.POSITIONAL_OR_KEYWORD and name not in tensors
    ]
    known = all(name in wanted for name in names) and all(hasattr(law, name) for name in fixed)
    if not (tensors and known and all(isinstance(value, Tensor) for value in tensors.values())):
        return Parts(partial(_constant, law))
    return Parts(partial(type(law), **{name: getattr(law, name) for name in fixed}, validate_args=False), tensors)


def _parameters(law: Distribution) -> list[str]:
    """The names of the parameters that a constructor takes; one of those that it takes instead of each other."""
    names = list(law.arg_constraints)
    instead = [name for name in names if isinstance(getattr(type(law), name, None), lazy_property)]
    given = [name for name in instead if name in vars(law)]
    return [name for name in names if name not in instead or name in given[:1]]


def _as_given(law: Distribution, name: str) -> Any:
    """A parameter without the batch shape that it takes where it is read: a view, which cannot be learned."""
    return vars(law).get(f"_{name}", getattr(law, name, None))


@parts_of.register
def _(law: MixtureSameFamily) -> Parts:
    parts = {
        "mixture_distribution": law.mixture_distribution,
        "component_distribution": law.component_distribution,
    }
    return Parts(partial(type(law), validate_args=False), laws=parts)


@parts_of.register
def _(law: Independent) -> Parts:
    build = partial(type(law), reinterpreted_batch_ndims=law.reinterpreted_batch_ndims, validate_args=False)
    return Parts(build, laws={"base_distribution": law.base_dist})
