"""Tensors of a distribution held by a module: they follow `.to(...)`, are saved with it, and may be learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..distributions.composed.parts import parts_of
from ..manifolds import is_eager

__all__ = ["Built", "Recipe", "hold"]


@dataclass(frozen=True)
class Recipe:
    """How to build a distribution again from what a module holds.

    Attributes:
        build: From all parts to the distribution.
        held: Keywords of tensors and networks, and their names in the module.
        laws: Recipes of the distributions that it is made of.
    """

    build: Callable[..., Any]
    held: dict[str, str]
    laws: dict[str, Recipe]

    def __call__(self, module: nn.Module) -> Any:
        """The distribution of the module's tensors as they are."""
        return self.build(
            **{keyword: getattr(module, name) for keyword, name in self.held.items()},
            **{keyword: recipe(module) for keyword, recipe in self.laws.items()},
        )

    def names(self) -> Iterator[str]:
        """The module's names of everything held."""
        yield from self.held.values()
        for recipe in self.laws.values():
            yield from recipe.names()


def hold(module: nn.Module, law: Any, prefix: str = "base_") -> Recipe:
    """Let a module hold a distribution's tensors: Parameters as such, to be learned; others as buffers."""
    parts = parts_of(law)
    for keyword, value in parts.tensors.items():
        if isinstance(value, nn.Parameter):
            module.register_parameter(prefix + keyword, value)
        else:
            module.register_buffer(prefix + keyword, value.detach().clone())
    for keyword, network in parts.modules.items():
        module.add_module(prefix + keyword, network)
    held = {keyword: prefix + keyword for keyword in (*parts.tensors, *parts.modules)}
    laws = {keyword: hold(module, one, f"{prefix}{keyword}_") for keyword, one in parts.laws.items()}
    return Recipe(parts.build, held, laws)


@dataclass(frozen=True)
class Built:
    """A distribution, and the tensors it was built from as they were then."""

    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]
    law: Any

    @classmethod
    def of(cls, recipe: Recipe, module: nn.Module, before: Built | None) -> tuple[Any, Built | None]:
        """The distribution, built anew only if a tensor has changed since `before`; and what to keep of it."""
        held = [getattr(module, name) for name in recipe.names()]
        tensors = tuple(value for value in held if isinstance(value, Tensor))
        # A base of parameters that are learned has to be part of each call's graph.
        fixed = not any(value.requires_grad or value.is_inference() for value in tensors)
        if not (fixed and len(tensors) == len(held) and is_eager() and not torch.is_inference_mode_enabled()):
            return recipe(module), before
        versions = tuple(value._version for value in tensors)  # grows with every change in place
        same = before is not None and len(before.tensors) == len(tensors)
        if before is None or not same or any(a is not b for a, b in zip(tensors, before.tensors)):
            before = None
        if before is None or before.versions != versions:
            before = cls(tensors, versions, recipe(module))
        return before.law, before
