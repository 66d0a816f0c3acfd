"""What the estimators share: rows of numpy arrays as points, seeds, and weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import Tensor

__all__ = ["closed", "read", "seeded", "unit_rows", "weights_of"]


def read(estimator: Any, X: Any, *, fitting: bool, least: int = 2) -> np.ndarray:
    """X as a float32 or float64 array `(n_samples, n_features)`; number and names of features are remembered."""
    return validate_data(
        estimator,
        X,
        dtype=(np.float64, np.float32),
        reset=fitting,
        ensure_min_features=least if fitting else 1,
    )


def unit_rows(X: np.ndarray, normalize: bool) -> Tensor:
    """Rows scaled to unit norm.

    Raises:
        ValueError: A row is zero, or without `normalize` not of unit norm.
    """
    largest = np.abs(X).max(axis=1, keepdims=True)  # norms of huge and tiny rows neither overflow nor vanish
    zero = np.flatnonzero(largest == 0)
    if len(zero):
        raise ValueError(f"X: row {zero[0]} is zero, and has no direction; {len(zero)} of {len(X)} rows are, drop them")
    if not normalize:
        norms = np.linalg.norm(X, axis=1)
        far = np.flatnonzero(np.abs(norms - 1) > (1e-5 if X.dtype == np.float32 else 1e-9))
        if len(far):
            raise ValueError(
                f"X: expected rows of unit norm, got norm {norms[far[0]]:.4f} at row {far[0]}; pass normalize=True"
            )
        return torch.tensor(X)
    scaled = X / largest
    return torch.tensor(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))


def closed(X: np.ndarray, normalize: bool, zeros: float) -> Tensor:
    """Rows of shares: divided by their sum, with shares below `zeros` raised to it.

    Raises:
        ValueError: A negative entry, a row of zeros, or without `normalize` a row that does not sum to one.
    """
    if (X < 0).any():
        # scikit-learn's checks read these words.
        raise ValueError("Negative values in data passed to X: expected shares or amounts, at least 0")
    total = X.sum(axis=1, keepdims=True, dtype=np.float64)
    empty = np.flatnonzero(total == 0)
    if len(empty):
        raise ValueError(f"X: row {empty[0]} is zero, and has no shares; {len(empty)} of {len(X)} rows are, drop them")
    far = np.flatnonzero(np.abs(total - 1) > (1e-5 if X.dtype == np.float32 else 1e-9))
    if not normalize and len(far):
        raise ValueError(
            f"X: expected rows that sum to one, got {float(total[far[0], 0]):.4f} at row {far[0]}; pass normalize=True"
        )
    shares = np.maximum(X / total, zeros)
    return torch.tensor((shares / shares.sum(axis=1, keepdims=True)).astype(X.dtype))


def weights_of(sample_weight: Any, X: np.ndarray) -> Tensor | None:
    """Weights, checked by scikit-learn, or None."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.sum() > 0:
        raise ValueError("sample_weight: expected a positive sum, got zero")
    return torch.tensor(weights)


@contextmanager
def seeded(random_state: Any) -> Iterator[None]:
    """torch's generator at a seed from scikit-learn's `random_state`, and back where it was afterwards."""
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
