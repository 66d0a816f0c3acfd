"""Kernel densities and mixtures as models of points."""

import math
import time
import warnings
from functools import singledispatch
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Categorical
from tqdm import tqdm

from ..._geomstats import Manifold
from ...checks import check_number
from ...data import PointSplit
from ...distributions import Dirichlet, KernelDensity, Mixture, VonMisesFisher, WrappedNormal, fit_mixture
from ...distributions.mixtures.families import Family, family_of
from ...manifolds import Euclidean, Hypersphere, Simplex, Torus
from .interface import Fitted, ModelChoice, PointModel, Shapes, mean_nll, seeded

__all__ = ["KernelModel", "MixtureModel"]

_FEW = 20
"""Of fewer validation points no bandwidth is chosen."""
_COMPONENTS = 1, 2, 4, 8, 16, 32, 64, 128
_MOST = 1e5
_QUICK: dict[str, Any] = {"starts": 2, "iterations": 60, "tolerance": 1e-5}
"""How numbers of components are compared; the best of them is then fitted to the end."""


class KernelModel(PointModel):
    """A kernel density of the training points.

    Args:
        space: Where the points live.
        points: `(m, n)`.
        bandwidth: `(m,)`.
        uniform_share: Of the uniform law.

    The bandwidth is one for all points, or adapts to the distance of neighbours with a uniform share: what the
    validation points find more probable; where there are fewer than 20, one for all by leave-one-out.
    """

    kind: ClassVar[str] = "kde"
    title: ClassVar[str] = "kernel density"
    points: Tensor
    bandwidth: Tensor

    def __init__(self, space: Manifold, points: Tensor, bandwidth: Tensor, uniform_share: float = 0.0) -> None:
        super().__init__(space)
        self.register_buffer("points", points.clone())
        self.register_buffer("bandwidth", bandwidth.clone())
        self.uniform_share = uniform_share

    @classmethod
    def fit(
        cls, split: PointSplit, choice: ModelChoice, *, folder: Path, resume: bool = False, progress: bool = False
    ) -> Fitted[Self]:
        """Choose the bandwidth, see above."""
        began = time.perf_counter()
        space, train, validation = split.train.space, split.train.points, split.validation.points
        known: dict[str, Any] = {"space": space}
        with seeded(choice.training.seed):
            if len(validation) < _FEW:
                best = KernelDensity.fit(train, **known)
            else:
                methods = ("leave-one-out", "adaptive")
                fitted = [KernelDensity.fit(train, method=m, held_out=validation, **known) for m in methods]
                best = min(fitted, key=lambda density: mean_nll(density, validation))
        return Fitted(cls(space, best.points, best.bandwidth, best.uniform_share), time.perf_counter() - began)

    def describe(self) -> dict[str, Any]:
        """The uniform share."""
        return {"uniform_share": self.uniform_share}

    @classmethod
    def build(cls, space: Manifold, fields: dict[str, Any], shapes: Shapes) -> Self:
        """A density of so many points."""
        share = check_number("uniform_share", fields["uniform_share"], 0, 1 - 1e-9)
        return cls(space, torch.zeros(shapes["points"]), torch.zeros(shapes["bandwidth"]), share)

    @property
    def distribution(self) -> KernelDensity:
        """The kernel density."""
        return KernelDensity(self.points, self.bandwidth, space=self.space, uniform_share=self.uniform_share)


@singledispatch
def component_kind(space: Manifold) -> type:
    """The kind of law whose mixtures model points of a space.

    Raises:
        ValueError: A space without one.
    """
    raise ValueError(f"model: no mixture is known on {space!r}; take a kernel density or flow matching")


@component_kind.register
def _(space: Hypersphere) -> type:
    return VonMisesFisher


@component_kind.register
def _(space: Simplex) -> type:
    return Dirichlet


@component_kind.register(Torus)
@component_kind.register(Euclidean)
def _(space: Manifold) -> type:
    return WrappedNormal


class MixtureModel(PointModel):
    """A mixture of von Mises-Fisher laws, of Dirichlet laws on simplices, of wrapped normals on tori and R^d.

    The number of components is 1, 2, 4 ... 128, whichever the validation points find most probable, unless it is given;
    after the training's time limit no larger number is tried. Numbers are compared after a short fit, and the best is
    fitted on.

    Args:
        space: Where the points live.
        logits: `(components,)`.
        parts: The components' parameters by name.
    """

    kind: ClassVar[str] = "mixture"
    title: ClassVar[str] = "mixture"
    logits: Tensor

    def __init__(self, space: Manifold, logits: Tensor, parts: dict[str, Tensor]) -> None:
        super().__init__(space)
        self.register_buffer("logits", logits.clone())
        for name in self._family.fields:
            self.register_buffer(f"component_{name}", parts[name].clone())

    @property
    def _family(self) -> Family:
        return family_of(component_kind(self.space), space=self.space)

    @classmethod
    def fit(
        cls, split: PointSplit, choice: ModelChoice, *, folder: Path, resume: bool = False, progress: bool = False
    ) -> Fitted[Self]:
        """By EM, see `fit_mixture`."""
        began = time.perf_counter()
        space, train, validation = split.train.space, split.train.points, split.validation.points
        kind, best, loss, worse = component_kind(space), None, math.inf, 0
        seed, wanted = choice.training.seed, _COMPONENTS if choice.components is None else (choice.components,)
        counts = [c for c in wanted if c <= len(train)] or [len(train)]
        with tqdm(total=len(counts), desc="mixture", disable=not progress, leave=False, ncols=80) as bar:
            for count in counts:
                bar.set_postfix_str(f"{count} components")
                mixture = _quiet_fit(kind, train, count, space, seed, **_QUICK)
                found = mean_nll(mixture, validation)
                if best is None or found < loss:
                    best, loss, worse = mixture, found, 0
                else:
                    worse += 1
                bar.update()
                late = time.perf_counter() - began > (choice.training.max_seconds or math.inf)
                if worse == 2 or late:
                    break
        assert best is not None
        if len(best.mixture_distribution.logits) > 1:
            further = _quiet_fit(kind, train, len(best.mixture_distribution.logits), space, seed, start_from=best)
            best = min(best, further, key=lambda mixture: mean_nll(mixture, validation))
        bound = best.fitting is not None and best.fitting.at_bound
        count = len(best.mixture_distribution.logits)
        notes = [f"{count} components", *(["one of them sits on copies of a point"] if bound else [])]
        law = best.component_distribution
        parts = {name: getattr(law, name) for name in family_of(kind, space=space).fields}
        model = cls(space, best.mixture_distribution.logits, parts)
        return Fitted(model, time.perf_counter() - began, note=", ".join(notes))

    def describe(self) -> dict[str, Any]:
        """Nothing: the space and the tensors say all."""
        return {}

    @classmethod
    def build(cls, space: Manifold, fields: dict[str, Any], shapes: Shapes) -> Self:
        """A mixture of so many components."""
        names = family_of(component_kind(space), space=space).fields
        parts = {name: torch.zeros(shapes[f"component_{name}"]) for name in names}
        return cls(space, torch.zeros(shapes["logits"]), parts)

    @property
    def distribution(self) -> Mixture:
        """The mixture."""
        family = self._family
        law = family.build(*(getattr(self, f"component_{name}") for name in family.fields))
        return Mixture(Categorical(logits=self.logits), law, validate_args=False)

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return len(self.logits) - 1 + self._family.parameters(len(self.logits), self.space.shape[0])


def _quiet_fit(kind: type, points: Tensor, count: int, space: Manifold, seed: int, **options: Any) -> Mixture:
    """`fit_mixture` without its warning, which the note repeats."""
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_mixture(kind, points, count, space=space, most=_MOST, **options)
