"""Curves that stay typical of a base, and curves of any energy, by their names in the table of methods."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...distributions.laws import Law
from ...realism import DensityIndex, Index, TwoSidedIndex
from ..paths.matched import Matched
from ..paths.points import as_points
from .energy import CurveEnergy, realism_energy
from .optimised import OptimisedPath, optimise

__all__ = ["optimised", "typical_curve", "typicality_energy"]

_DRAWS, _DRAWS_AT_ONCE = 10_000, 1_000


def typicality_energy(
    base: Any,
    decode: Callable[[Tensor], Tensor] | None = None,
    *,
    space: Any = None,
    index: str = "typical",
    eps: float = 0.1,
    pieces: int = 1,
) -> CurveEnergy:
    """The energy of curves on which points cost minus the log of their typicality under a base.

    Args:
        base: Any distribution of vectors with `sample` and `log_prob` whose density is not the same everywhere; 10,000
            draws from torch's global generator rank the log-density of a point.
        decode: From points `(rows, n)` to data, in which lengths are measured; None for lengths on `space`.
        space: Where the curve lies; None for R^n.
        index: "typical" for the two-sided index, low where a point is more probable than draws are; "density" for the
            share of draws that are less probable.
        eps: Squeezes the index into [eps, 1 - eps].
        pieces: As `CurveEnergy` takes it.

    Raises:
        ValueError: Another index; an `eps` outside [0, 1/2]; a uniform base.
    """
    if index not in ("density", "typical"):
        raise ValueError(f"index: expected 'density' or 'typical', got {index!r}")
    with torch.no_grad():
        parts = [_DRAWS_AT_ONCE] * (_DRAWS // _DRAWS_AT_ONCE)
        scores = torch.cat([base.log_prob(base.sample((count,))) for count in parts])
    realism: Index = DensityIndex(lambda points: base.log_prob(points), scores)
    if index == "typical":
        realism = TwoSidedIndex(realism)
    decoder = None if decode is None else lambda points: decode(points).flatten(1)
    return realism_energy(realism.regularised(eps), decoder, space=space, pieces=pieces)


def typical_curve(start: Any, end: Any, law: Law, *, event_dim: int = 1, **options: Any) -> OptimisedPath:
    """The shortest curve on the base's space where points cost minus the log of their typicality."""
    _check_vectors(event_dim)
    energy, rest = _energy_of(law, None, options)
    return _solved(energy, start, end, law, rest)


def optimised(
    start: Any,
    end: Any,
    law: Law,
    *,
    event_dim: int = 1,
    energy: CurveEnergy | None = None,
    decode: Callable[[Tensor], Tensor] | None = None,
    **options: Any,
) -> OptimisedPath:
    """The curve of least `energy`; without one, of the typicality of the base in the output of `decode`.

    Raises:
        ValueError: Neither an energy nor a base and a decoder; latents that are not vectors.
    """
    _check_vectors(event_dim)
    if energy is not None:
        return optimise(energy, start, end, **options)
    if law.base is None or decode is None or law.blocks:
        raise ValueError(
            "energy: the method optimised needs base=... and decode=..., of which it makes one, or energy=...:\n"
            "    index = mf.realism.TwoSidedIndex(mf.realism.density_index(base)).regularised(0.1)\n"
            "    energy = mf.interpolation.realism_energy(index, decoder, space=base.manifold)\n"
            '    mf.interpolate(start, end, method="optimised", energy=energy)'
        )
    energy, rest = _energy_of(law, decode, options)
    return _solved(energy, start, end, law, rest)


def _check_vectors(event_dim: int) -> None:
    if event_dim != 1:
        raise ValueError(
            f"event_dim: curves are solved for vectors (event_dim=1), got event_dim={event_dim}; flatten the latents"
        )


def _energy_of(
    law: Law, decode: Callable[[Tensor], Tensor] | None, options: dict[str, Any]
) -> tuple[CurveEnergy, dict[str, Any]]:
    """The energy, made with the options that are its own, and the other options."""
    own = {name: options[name] for name in ("index", "eps", "pieces") if name in options}
    space = None if law.is_flat else law.space
    return typicality_energy(law.base, decode, space=space, **own), {k: v for k, v in options.items() if k not in own}


def _solved(energy: CurveEnergy, start: Any, end: Any, law: Law, options: dict[str, Any]) -> OptimisedPath:
    """Started from matched paths where the base has them, else from geodesics."""
    first, last = as_points("start", start, 1), as_points("end", end, 1)
    if "starts" not in options and law.has_lift:
        options["starts"] = Matched(law.base, first, last)
    return optimise(energy, first, last, **{"starts": "geodesic", **options})
