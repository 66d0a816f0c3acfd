"""Certified likelihoods: a held-out figure with all that one must know before comparing it with another.

A density that does not integrate to one, held-out points that are copies of training points, another split, or a
solver's tolerance can each move a negative log-likelihood by more than papers differ. A certificate prints them beside
it.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import as_tensor, check_integer, describe
from ..data.point_sets import copies_of, split_hash
from ..distributions import KernelDensity
from ..distributions.kernel.space_kernels import has_uniform
from ..files.typed_json import Record
from .quadrature import has_quadrature, quadrature

__all__ = [
    "Certificate",
    "Estimate",
    "certify",
    "copies_of",
    "log_densities",
    "mass_text",
    "mean_estimate",
    "split_hash",
    "total_mass",
]

_ORDERS = (120, 180), (200, 300)
_ORDERS_BY_SOLVER = ((36, 54),)  # where every density costs the solution of a differential equation
_SURE = 1e-4
_RIGHT = 1e-3
_BLOCK = 20_000


@dataclass(frozen=True)
class Estimate(Record):
    """A number with its standard error (or, of a quadrature, its change when the rule was refined)."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.error:.3f}"


@dataclass(frozen=True)
class Certificate(Record):
    """A held-out negative log-likelihood in nats, and what it rests on; `str` gives one row of a table.

    Attributes:
        name: Of the model.
        nll: Mean of minus the log density of the held-out points, and its standard error.
        nll_without_copies: The same without held-out points that are exact copies of training points; None where all
            are copies.
        copies: Share of held-out points that are.
        held_out: Number of held-out points.
        mass: Integral of the density over the space and its error, 1 for a density; None where importance sampling
            cannot find it, as in many dimensions.
        mass_by: "quadrature" or "importance sampling".
        split: First 12 hexadecimal digits of the SHA-256 of training and held-out points: equal for equal splits only.
        control: The control's nll on the same points, or None.
        control_name: What the control is.
        tolerance: Of the differential equation's solver, where there is one.
        tolerance_effect: By how much nll changed when the tolerance was halved.
        seconds: For the log densities of the held-out points.
        parameters: Number of trainable parameters; 0 where none are.
    """

    name: str
    nll: Estimate
    nll_without_copies: Estimate | None
    copies: float
    held_out: int
    mass: Estimate | None
    mass_by: str
    split: str
    control: Estimate | None
    control_name: str
    tolerance: float | None
    tolerance_effect: float | None
    seconds: float
    parameters: int

    def __str__(self) -> str:
        parts = [
            f"{self.name}: {self.nll} nats on {self.held_out:,} held-out points",
            f"copies of training points {self.copies:.1%}, without them {self.nll_without_copies or 'none left'}",
            f"integral {mass_text(self.mass)} by {self.mass_by}",
            f"split {self.split}",
        ]
        if self.control is not None:
            parts.append(f"{self.control_name} {self.control}")
        if self.tolerance is not None:
            parts.append(f"solver tolerance {self.tolerance:g}, halved: {self.tolerance_effect:+.1g}")
        parts.append(f"{self.parameters:,} parameters, {self.seconds:.1f} s")
        return "; ".join(parts)


def mass_text(mass: Estimate | None) -> str:
    """An integral and its error in a table."""
    return "unknown" if mass is None else f"{mass.value:.4f} ± {mass.error:.1g}"


def certify(
    distribution: Any,
    held_out: Any,
    *,
    train: Any,
    control: Any = None,
    control_name: str = "control",
    name: str | None = None,
    samples: int = 20_000,
) -> Certificate:
    """Score a distribution on held-out points, and check what the score rests on.

    Args:
        distribution: With `log_prob`, `sample` and `manifold`, such as every distribution here or a flow's
            `distribution()`. Where its log density comes from a differential equation, its attribute `tolerance` and
            its method `with_tolerance(tolerance)` give the solver's.
        held_out, train: Points `(N, *event)`; those of training are to find copies and to name the split.
        control, control_name: Another distribution scored on the same points, usually a `KernelDensity` of the training
            points, and what it is called.
        name: Of the model; its class by default.
        samples: Draws of the importance sampling where no quadrature serves; a tenth where a density needs a solver.

    Raises:
        ValueError: Points of another shape, fewer than two held-out points, or log densities that are NaN or +infinity.
        TypeError: A distribution without `log_prob`.

    The integral is a quadrature on spheres and tori of dimension 1 and 2 and simplices of at most three parts.
    Elsewhere, where two orders of it differ, and where it is not 1 and draws do not confirm that, it is importance
    sampling from the distribution and a kernel density of its draws, with a fifth of the uniform law if there is one.

    Example:
        >>> base = mf.distributions.SphericalUniform(2)
        >>> points = base.sample((100,))
        >>> round(certify(base, points[:50], train=points[50:]).nll.value, 3)
        2.531
    """
    held_out, train = _checked(distribution, held_out, train)
    check_integer("samples", samples, least=100)
    scored = held_out.to(_dtype(distribution))
    began = time.perf_counter()
    losses = -log_densities(distribution, scored)
    seconds = time.perf_counter() - began
    copies, tolerance = copies_of(held_out, train), getattr(distribution, "tolerance", None)
    mass, by = total_mass(distribution, samples)
    return Certificate(
        name=name or type(distribution).__name__,
        nll=mean_estimate(losses),
        nll_without_copies=mean_estimate(losses[~copies]) if int((~copies).sum()) > 1 else None,
        copies=float(copies.double().mean()),
        held_out=len(held_out),
        mass=mass,
        mass_by=by,
        split=split_hash(train, held_out),
        control=None if control is None else mean_estimate(-log_densities(control, held_out.to(_dtype(control)))),
        control_name=control_name,
        tolerance=tolerance,
        tolerance_effect=None if tolerance is None else _effect(distribution, tolerance, scored, losses),
        seconds=seconds,
        parameters=sum(p.numel() for p in _parameters(distribution)),
    )


def _checked(distribution: Any, held_out: Any, train: Any) -> tuple[Tensor, Tensor]:
    if not callable(getattr(distribution, "log_prob", None)):
        raise TypeError(f"distribution: expected one with log_prob, got {describe(distribution)}")
    held_out, train = as_tensor("held_out", held_out), as_tensor("train", train)
    event = tuple(distribution.event_shape)
    for label, points in (("held_out", held_out), ("train", train)):
        if tuple(points.shape[1:]) != event:
            raise ValueError(f"{label}: expected shape (N, {', '.join(map(str, event))}), got {tuple(points.shape)}")
    if len(held_out) < 2:
        raise ValueError(f"held_out: expected at least two points, which have a standard error, got {len(held_out)}")
    return held_out, train


def _effect(distribution: Any, tolerance: float, held_out: Tensor, losses: Tensor) -> float:
    """By how much the mean loss changes when the solver's tolerance is halved."""
    return float((-log_densities(distribution.with_tolerance(tolerance / 2), held_out)).mean() - losses.mean())


def _parameters(distribution: Any) -> list[Tensor]:
    found = getattr(distribution, "parameters", None)
    return list(found()) if callable(found) else []


def mean_estimate(values: Tensor) -> Estimate:
    """The mean of values `(N,)` and its standard error."""
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(len(values))))


def log_densities(distribution: Any, points: Tensor) -> Tensor:
    """Log densities `(N,)` as float64, block by block and without gradients.

    Raises:
        ValueError: One is NaN or +infinity; the row is named.
    """
    with torch.no_grad():
        values = torch.cat([distribution.log_prob(block).double() for block in points.split(_BLOCK)])
    wrong = values.isnan() | (values == math.inf)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"distribution: expected log densities below infinity, got {float(values[row])} at row {row}; "
            "check the point, or train with a lower learning rate"
        )
    return values


def total_mass(distribution: Any, samples: int = 20_000) -> tuple[Estimate | None, str]:
    """The integral of a density over its space, with its error, and how it was sought; None where it was not found."""
    space, exact, quick = distribution.manifold, None, getattr(distribution, "tolerance", None) is None
    if has_quadrature(space):
        for orders in _ORDERS if quick else _ORDERS_BY_SOLVER:
            coarse, fine = (_integral(distribution, *quadrature(space, order)) for order in orders)
            change = abs(fine - coarse)
            if max(change, abs(fine - 1)) < _SURE:
                break
        exact = Estimate(fine, change) if change < _RIGHT else None
        if exact is not None and abs(fine - 1) < _RIGHT:
            return exact, "quadrature"
    drawn = _importance(distribution, samples if quick else max(samples // 10, 100))
    # Peaks between the nodes of both rules would be missing from both: only what draws confirm is an integral.
    if exact is not None and (drawn is None or abs(exact.value - drawn.value) < 5 * drawn.error):
        return exact, "quadrature"
    return drawn, "importance sampling"


def _integral(distribution: Any, points: Tensor, weights: Tensor) -> float:
    points = points.to(_dtype(distribution))
    return float((log_densities(distribution, points).exp() * weights).sum())


def _dtype(distribution: Any) -> torch.dtype:
    with torch.no_grad():
        return distribution.sample().dtype


_CENTRES = 2000
_UNIFORM = 0.2
_ROUNDS = 1000
_FEWEST = 20


def _importance(distribution: Any, samples: int) -> Estimate | None:
    """The integral by importance sampling from both sides: from the distribution and from a smoothed copy of it.

    None where, of either's draws, fewer than an effective 20 lie where the other has mass too: in many dimensions no
    copy comes near enough.

    Peaks that the copy misses would be missing from a mean over its draws alone; the distribution's own draws make up
    for them. Reference: X.-L. Meng and W. H. Wong, Statistica Sinica 6, 1996 (bridge sampling), equation 4.1.
    """
    with torch.no_grad():
        centres = torch.unique(distribution.sample(torch.Size((_CENTRES,))).reshape(_CENTRES, -1), dim=0)
        space = distribution.manifold
        fitted = KernelDensity.fit(centres, space=space, method="adaptive")  # kernels as narrow as its peaks
        share = _UNIFORM if has_uniform(space) else 0.0
        copy = KernelDensity(centres, 1.5 * fitted.bandwidth, space=space, uniform_share=share)
        own, other = distribution.sample(torch.Size((samples,))), copy.sample(torch.Size((samples,)))
    log_own = log_densities(distribution, own) - log_densities(copy, own)
    log_other = log_densities(distribution, other) - log_densities(copy, other)
    log_mass = torch.zeros((), dtype=torch.float64)
    for _ in range(_ROUNDS):  # each round leaves the share of the error by which the two laws do not overlap
        before = log_mass
        above = (log_other - torch.logaddexp(log_other, log_mass)).exp()
        below = (-torch.logaddexp(log_own, log_mass)).exp()
        log_mass = above.mean().log() - below.mean().log()
        if not abs(float(log_mass - before)) > 1e-6:  # also where it is NaN
            break
    if not bool(log_mass.isfinite()) or min(_effective(above), _effective(below)) < _FEWEST:
        return None
    parts = [part.std() / part.mean() / math.sqrt(samples) for part in (above, below)]
    return Estimate(float(log_mass.exp()), float(log_mass.exp() * torch.stack(parts).norm()))


def _effective(weights: Tensor) -> float:
    """How many of the weighted draws count."""
    return float(weights.sum().square() / weights.square().sum())
