"""What the page's explorer shows of each pair, path and time, as plain data for its script."""

import math
from collections.abc import Sequence
from typing import Any

from ..evaluation import Evaluation
from .strips import GAP

__all__ = ["explorer_data", "pair_titles"]

_USUAL = {"typicality": (0.1, 1.0), "realism": (0.05, 0.95)}
"""Where 90 % of the base's draws lie: F is uniform for them; the statistic's 5 to 95 % are the same draws."""

_COLOURS = 7
"""The style sheet's curve-0 to curve-6."""

_DASHES = ("", "7 4", "2 3", "9 3 2 3")
"""So that curves are told apart without colours; together 28 paths differ."""

_FEW = 4


def pair_titles(result: Evaluation) -> list[str]:
    """A title for each of the pairs shown, with its classes."""
    return [f"Pair {i}: class {a} to class {b}" for i, (a, b) in enumerate(result.pair_labels, 1)]


def _shown_first(bases: list[str]) -> list[bool]:
    """Which paths are ticked at first: all if they are few, else the first and the last of each base."""
    return [
        len(bases) <= _FEW or i in (bases.index(base), len(bases) - 1 - bases[::-1].index(base))
        for i, base in enumerate(bases)
    ]


def _finite(rows: Sequence[Sequence[float]]) -> list[list[float | None]]:
    """JSON has no NaN: the script shows null as a gap."""
    return [[value if math.isfinite(value) else None for value in row] for row in rows]


def explorer_data(result: Evaluation) -> dict[str, Any]:
    """The times, pairs and paths of an evaluation.

    Args:
        result: What `evaluate_step` returns.

    Returns:
        Plain data that JSON can hold. Of each path `typicality`, `realism` and `statistic` are lists (pairs, m),
        with None where a value is not finite; `band` holds the 5, 50 and 95 % quantiles of the base's statistic.
    """
    profiles = result.profiles
    bases = [p.base for p in profiles]
    numbers = {base: i for i, base in enumerate(dict.fromkeys(bases))}
    return {
        "times": list(profiles[0].times),
        "pairs": pair_titles(result),
        "shape": list(result.data.shape),
        "gap": GAP,
        "usual": _USUAL,
        "methods": [
            {
                "number": i,
                "base": p.base,
                "base_number": numbers[p.base],
                "path": p.path,
                "colour": i % _COLOURS,
                "dashes": _DASHES[i % len(_DASHES)],
                "shown": shown,
                "statistic_name": p.statistic,
                "band": list(p.base_quantiles),
                **{key: _finite(getattr(p.shown_pairs, key)) for key in ("typicality", "realism", "statistic")},
            }
            for i, (p, shown) in enumerate(zip(profiles, _shown_first(bases)))
        ],
    }
