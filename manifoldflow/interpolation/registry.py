"""The table of interpolation methods, and one function that runs any of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arguments import decoded
from .geodesic import Geodesic
from .linear import Linear, NormCorrected
from .path import Path
from .spherical import Slerp

__all__ = ["METHODS", "Method", "build_path", "interpolate"]


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        name: As the user types it.
        description: What the path is, in one line.
        suits: The bases it is meant for.
        preserves: For which bases every point of the path has the law of the base; "none" for most.
        needs: Which of "base" and "space" it cannot do without.
        build: From start, end and keywords (event_dim, base, space, ...) to a path.
    """

    name: str
    description: str
    suits: str
    preserves: str
    needs: tuple[str, ...]
    build: Callable[..., Path]


def _geodesic(start: Any, end: Any, *, space: Any, event_dim: int, **options: Any) -> Path:
    return Geodesic(space, start, end, **options)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("linear", "straight line", "any flat base", "none", (), Linear),
        Method("norm-corrected", "straight line at the interpolated norm", "Gaussian", "none", (), NormCorrected),
        Method("slerp", "great circle with interpolated norms", "Gaussian, sphere", "uniform sphere", (), Slerp),
        Method("geodesic", "geodesic of the space", "any manifold", "uniform sphere", ("space",), _geodesic),
    )
}


def _find(method: str) -> Method:
    name = str(method).replace("_", "-").lower()
    if name not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}; got {method!r}")
    return METHODS[name]


def build_path(
    start: Any,
    end: Any,
    *,
    method: str = "slerp",
    base: Any = None,
    space: Any = None,
    event_dim: int = 1,
    **options: Any,
) -> Path:
    """The path that `method` draws from `start` to `end`.

    Args:
        start: Latents `(*batch, *event)`.
        end: Latents, same shape.
        method: A name of `METHODS`; hyphens and underscores are the same.
        base: Base distribution, for the methods that ask for one; also gives the space if it has a
            `manifold`.
        space: A geomstats space, for the methods that ask for one.
        event_dim: Number of dimensions of one latent.
        options: Passed on to the method.

    Raises:
        ValueError: Unknown method, or one that lacks its base or space.
    """
    found = _find(method)
    if space is None and base is not None:
        space = getattr(base, "manifold", None)
    given = {"base": base, "space": space}
    for name in found.needs:
        if given[name] is None:
            raise ValueError(f"{name}: the method {found.name} needs one, got None; pass {name}=...")
    needed = {name: given[name] for name in found.needs}
    return found.build(start, end, event_dim=event_dim, **needed, **options)


def interpolate(
    start: Any,
    end: Any,
    *,
    method: str = "slerp",
    decode: Callable[[Tensor], Tensor] | None = None,
    steps: int = 9,
    base: Any = None,
    space: Any = None,
    event_dim: int = 1,
    **options: Any,
) -> Any:
    """Points at `steps` equally spaced times from `start` to `end`, decoded if there is a decoder.

    Args:
        start: Latents `(*batch, *event)`, tensor or numpy array.
        end: Latents, same shape.
        method: A name of `METHODS`.
        decode: Function from latents `(rows, *event)` to data `(rows, *data)`; None returns latents.
        steps: Number of points, both ends included.
        base: Base distribution, see `build_path`.
        space: Geomstats space, see `build_path`.
        event_dim: Number of dimensions of one latent.
        options: Passed on to the method.

    Returns:
        `(*batch, steps, *event)`, or `(*batch, steps, *data)` decoded; a numpy array if `start` is one.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps: expected an integer of at least 2 (both ends are included), got {steps!r}")
    path = build_path(start, end, method=method, base=base, space=space, event_dim=event_dim, **options)
    times = torch.linspace(0, 1, steps, dtype=path.start.dtype, device=path.start.device)
    points = decoded(decode, path(times), path.event_dim)
    return points.detach().cpu().numpy() if isinstance(start, np.ndarray) else points
