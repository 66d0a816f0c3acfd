"""Zeros of compositions, replaced so that log-ratios exist: what compositional data analysis offers."""

from typing import Any

import torch
from torch import Tensor

from ..checks import as_tensor, check_choice, check_finite

__all__ = ["replace_zeros"]

# Strength of the prior as a function of the number of parts and of the total count (Martin-Fernandez et al., 2015).
_PRIORS = {
    "square-root": lambda parts, total: total.sqrt(),
    "laplace": lambda parts, total: torch.full_like(total, parts),
    "jeffreys": lambda parts, total: torch.full_like(total, 0.5 * parts),
    "perks": lambda parts, total: torch.ones_like(total),
}


def replace_zeros(points: Any, how: str = "multiplicative", *, delta: Any = None, prior: str = "square-root") -> Tensor:
    r"""Compositions without zeros, on the open simplex; rows that have none are only divided by their sum.

    "multiplicative" puts :math:`\delta_k` in place of a zero and multiplies the other parts of its row by
    :math:`1 - \sum \delta_k` over the row's zeros, which keeps their ratios. "bayesian" takes the rows for counts with
    a Dirichlet prior of equal shares 1/D and strength s: a zero of a row of total N becomes s / (D (N + s)).

    Args:
        points: Nonnegative numbers `(*batch, D)`, no row all zero: compositions or amounts, for "bayesian" counts.
        how: "multiplicative" or "bayesian".
        delta: For "multiplicative": what stands for a zero, as a share of the whole, such as 0.65 of the detection
            limit; a number, or one for each part; 1/D^2 if not given.
        prior: For "bayesian": the strength s, "square-root" (of N), "laplace" (D), "jeffreys" (D/2) or "perks" (1).

    Returns:
        Positive coordinates with sum one `(*batch, D)`, in the dtype of the points.

    Raises:
        TypeError: Not numbers.
        ValueError: Negative or infinite numbers, a row of zeros, a `delta` that is not positive or leaves nothing.

    >>> replace_zeros(torch.tensor([0.5, 0.5, 0.0]), delta=0.01)
    tensor([0.4950, 0.4950, 0.0100])
    >>> replace_zeros(torch.tensor([4, 5, 0]), "bayesian")
    tensor([0.4074, 0.5093, 0.0833])

    Reference: J. A. Martin-Fernandez, C. Barcelo-Vidal and V. Pawlowsky-Glahn, Dealing with zeros and missing values in
    compositional data sets using nonparametric imputation, Mathematical Geology 35, 2003; J. A. Martin-Fernandez,
    K. Hron, M. Templ, P. Filzmoser and J. Palarea-Albaladejo, Bayesian-multiplicative treatment of count zeros in
    compositional data sets, Statistical Modelling 15, 2015.
    """
    check_choice("how", how, ("multiplicative", "bayesian"))
    check_choice("prior", prior, _PRIORS)
    x = as_tensor("points", points)
    if x.dim() < 1 or x.shape[-1] < 2:
        raise ValueError(f"points: expected shape (*batch, D) with D >= 2, got {tuple(x.shape)}")
    check_finite(points=x)
    total = x.double().sum(-1, keepdim=True)
    if bool((x < 0).any()) or bool((total == 0).any()):
        raise ValueError("points: expected nonnegative numbers, not all of a row zero, got others")
    if how == "bayesian" and delta is not None:
        raise ValueError('delta: expected None for how="bayesian", which finds it from the counts')
    parts = x.shape[-1]
    if how == "bayesian":
        strength = _PRIORS[prior](parts, total)
        filling = strength / (parts * (total + strength))
    else:
        filling = as_tensor("delta", 1 / parts**2 if delta is None else delta, dtype=torch.float64).double()
    filling = _on_zeros(filling, x)
    left = 1 - filling.sum(-1, keepdim=True)
    if not bool((filling[x == 0] > 0).all()) or not bool((left > 0).all()):
        raise ValueError(
            "delta: expected positive shares that add up to less than 1 over the zeros of each row, got others; "
            f"take less than 1/{parts}"
        )
    return torch.where(x == 0, filling, left * x.double() / total).to(x.dtype)


def _on_zeros(filling: Tensor, x: Tensor) -> Tensor:
    """The filling where x is zero, 0 elsewhere."""
    try:
        return torch.where(x == 0, filling.to(x.device).expand(x.shape), 0.0)
    except RuntimeError:
        raise ValueError(
            f"delta: expected a number or {x.shape[-1]} of them, one for each part, got shape {tuple(filling.shape)}"
        ) from None
