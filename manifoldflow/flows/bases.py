"""The base distributions of the published experiments, each with its chart, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import torch

from ..charts import Chart, Identity, IsometricLogRatio, Stereographic
from ..checks import check_choice, check_integer, check_number
from ..distributions import BaseDistribution, Dirichlet, Gaussian, Law, VonMisesFisher, law_of

__all__ = ["BASES", "BaseChoice", "make_base"]

_LARGEST_CONCENTRATION = 1e8
_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class BaseChoice:
    """A named family of base distributions: `build(dim, parameter)` gives the chart and the base.

    `symbol` is how tables write a value of the parameter, with spaces that do not break; `compared` are the methods
    that are compared unless told otherwise: the published ones, and the law-preserving one.
    """

    parameter: str
    symbol: str
    default: float
    build: Callable[[int, float], tuple[Chart, BaseDistribution]]
    compared: tuple[str, ...]

    @cached_property
    def law(self) -> Law:
        """What is known about the family, such as its title; that of its default in two dimensions."""
        return law_of(self.build(2, self.default)[1])


def _gaussian(dim: int, scale: float) -> tuple[Chart, BaseDistribution]:
    return Identity(dim), Gaussian(torch.zeros(dim), torch.full((dim,), scale))


def _von_mises_fisher(dim: int, ratio: float) -> tuple[Chart, BaseDistribution]:
    if ratio * dim > _LARGEST_CONCENTRATION:
        raise ValueError(
            f"base parameter (concentration over d): expected at most {_LARGEST_CONCENTRATION:g} / d = "
            f"{_LARGEST_CONCENTRATION / dim:g}, got {ratio:g}"
        )
    # The mean is the south pole, the image of z = 0 (arXiv 2010.12059, section 3).
    south = torch.zeros(dim + 1)
    south[-1] = -1.0
    base = VonMisesFisher(south, torch.tensor(ratio * dim))
    exact = VonMisesFisher(south.double(), torch.tensor(ratio * dim, dtype=torch.float64))
    # Under the base the stereographic coordinates have a typical norm of sqrt((1-A)/(1+A)), and a
    # freshly initialised flow gives sqrt(d): the chart's scale maps one onto the other.
    a = float(exact.mean_resultant_length)  # float32 would round 1 - A away
    return Stereographic(dim, scale=sqrt(dim * (1 + a) / (1 - a))), base


def _dirichlet(dim: int, concentration: float) -> tuple[Chart, BaseDistribution]:
    # The isometric log-ratio treats the coordinates alike; the additive one singles out the last.
    return IsometricLogRatio(dim), Dirichlet(torch.full((dim + 1,), concentration))


BASES = {
    "gaussian": BaseChoice(
        "standard deviation", "σ\u00a0=\u00a0{}", 1.0, _gaussian, ("linear", "norm-corrected", "slerp", "matched")
    ),
    "vmf": BaseChoice(
        "concentration over d", "κ\u00a0=\u00a0{}\u00a0d", 1.0, _von_mises_fisher, ("geodesic", "matched")
    ),
    "dirichlet": BaseChoice(
        "concentration of each coordinate", "α\u00a0=\u00a0{}", 2.0, _dirichlet, ("linear", "geodesic", "matched")
    ),
}


def make_base(name: str, dim: int, parameter: float | None = None) -> tuple[Chart, BaseDistribution, BaseChoice]:
    """Chart R^d -> manifold and base distribution of a named family.

    Args:
        name: One of `BASES`: "gaussian", "vmf" (mean at the south pole), "dirichlet" (symmetric).
        dim: d, the dimension of the data.
        parameter: What `BASES[name].parameter` says; None for its default.

    Raises:
        ValueError: An unknown name, or a parameter that is not positive and finite.
    """
    choice = BASES[check_choice("base", name, BASES)]
    dim = check_integer("dim", dim)
    what = f"base parameter ({choice.parameter})"
    value = choice.default if parameter is None else check_number(what, parameter, most=_LARGEST, positive=True)
    chart, base = choice.build(dim, value)
    return chart, base, choice
