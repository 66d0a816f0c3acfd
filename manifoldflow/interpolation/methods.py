"""The table of interpolation methods, and functions that run any of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import check_integer
from ..distributions.laws import Law, law_of
from ..manifolds import Hypersphere, Simplex
from .bridges.bridge import Bridge
from .bridges.gaussian_process import GaussianProcessBridge
from .bridges.kernels import SquaredExponential
from .bridges.langevin import LangevinBridge
from .bridges.sphere_bridge import SphereBrownianBridge
from .bridges.typical_bridge import TypicalBridge
from .curves.typical import optimised, typical_curve
from .paths.geodesic import Geodesic
from .paths.great_circle import Slerp
from .paths.lines import Linear, NormCorrected
from .paths.matched import Matched
from .paths.path import Path
from .paths.points import decoded
from .paths.transport import CauchyLinear, OptimalTransport, SphericalCauchy

__all__ = ["METHODS", "Method", "build_path", "interpolate", "interpolate_all", "methods_for"]


def _never(law: Law) -> bool:
    return False


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        name: As the user types it.
        description: What the path is, in one line.
        build: From start, end, the `Law` of the base and the keywords event_dim and the method's own to a path or a
            bridge.
        suits: Whether it works for a law: whether it stays where the law's points lie.
        asks: What `suits` asks for, in words.
        preserves: Whether every point of the path has the law, between independent draws. (A bridge's marginals are
            the base's only between end points with the correlation k(T) of its process.)
        random: Whether it is a bridge: other paths at every call.
        takes: Which of `interpolate`'s own arguments `build` takes as well: "generator", "decode".
        offered: Whether `methods_for` lists it; not the curves, whose solver takes seconds.
    """

    name: str
    description: str
    build: Callable[..., Path | Bridge]
    suits: Callable[[Law], bool]
    asks: str
    preserves: Callable[[Law], bool] = _never
    random: bool = False
    takes: tuple[str, ...] = ()
    offered: bool = True

    def __repr__(self) -> str:
        return f"Method({self.name!r})"


def _is_round(law: Law) -> bool:
    """Whether lengths and directions as seen from the origin lead to points of the space."""
    return law.on_sphere or law.is_unbounded


def _is_uniform(law: Law) -> bool:
    return law.is_uniform and law.on_sphere


def _has_brownian_motion(law: Law) -> bool:
    return isinstance(law.space, Hypersphere) or (
        isinstance(law.space, Simplex) and law.space.metric_name == "fisher_rao"
    )


def _smooth(start: Any, end: Any, law: Law, *, length_scale: float = 0.5, **options: Any) -> GaussianProcessBridge:
    return GaussianProcessBridge(start, end, kernel=SquaredExponential(length_scale), **options)


def _on_space(kind: Any, start: Any, end: Any, law: Law, event_dim: int, **options: Any) -> Any:
    return kind(law.space, start, end, **options)  # the space fixes the number of event dimensions


_ROUND = "a base on R^n or on a sphere"
_STANDARD = "the standard normal"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "linear",
            "straight line",
            lambda start, end, law, **options: Linear(start, end, **options),
            lambda law: law.is_convex,
            "a base on R^n or another convex set",
        ),
        Method(
            "norm-corrected",
            "straight line at the interpolated norm",
            lambda start, end, law, **options: NormCorrected(start, end, **options),
            _is_round,
            _ROUND,
            preserves=_is_uniform,
        ),
        Method(
            "slerp",
            "great circle with interpolated norms",
            lambda start, end, law, **options: Slerp(start, end, **options),
            _is_round,
            _ROUND,
            preserves=_is_uniform,
        ),
        Method(
            "geodesic",
            "geodesic of the space",
            lambda start, end, law, **options: _on_space(Geodesic, start, end, law, **options),
            lambda law: law.space is not None,
            "a space",
            preserves=_is_uniform,
        ),
        Method(
            "matched",
            "combination of Gaussianised parts: every point has the law of the base",
            lambda start, end, law, **options: Matched(law, start, end, **options),
            lambda law: law.has_lift,
            "a base with a lift",
            preserves=lambda law: True,
            takes=("generator",),
        ),
        Method(
            "optimal-transport",
            "straight line transported to the base, coordinate by coordinate",
            lambda start, end, law, **options: OptimalTransport(law, start, end, **options),
            lambda law: law.coordinates is not None,
            "a base with independent coordinates",
            preserves=lambda law: True,
        ),
        Method(
            "cauchy",
            "combination of coordinates made Cauchy",
            lambda start, end, law, **options: CauchyLinear(law, start, end, **options),
            lambda law: law.coordinates is not None,
            "a base with independent coordinates",
            preserves=lambda law: True,
        ),
        Method(
            "spherical-cauchy",
            "normalised straight line with a Cauchy combination of the norms",
            lambda start, end, law, **options: SphericalCauchy(start, end, **options),
            lambda law: law.is_standard,
            _STANDARD,
            preserves=lambda law: True,
        ),
        Method(
            "bridge",
            "random path of the Ornstein-Uhlenbeck process (or kernel=...) between the points",
            lambda start, end, law, **options: GaussianProcessBridge(start, end, **options),
            lambda law: law.is_standard,
            _STANDARD,
            random=True,
        ),
        Method(
            "smooth-bridge",
            "random path of the process with a squared exponential kernel",
            _smooth,
            lambda law: law.is_standard,
            _STANDARD,
            random=True,
        ),
        Method(
            "langevin-bridge",
            "random path of the Langevin diffusion of a prior with score=...",
            lambda start, end, law, **options: LangevinBridge(start, end, **options),
            lambda law: law.is_standard,
            f"{_STANDARD}, or another prior with score=...",
            random=True,
        ),
        Method(
            "typical-bridge",
            "random path around the great circle at the interpolated norm",
            lambda start, end, law, **options: TypicalBridge(start, end, **options),
            lambda law: _is_round(law) and law.size >= 3,
            f"{_ROUND}, of at least 3 coordinates",
            preserves=_is_uniform,
            random=True,
        ),
        Method(
            "brownian-bridge",
            "Brownian motion on the sphere or simplex, tied to both points",
            lambda start, end, law, **options: _on_space(SphereBrownianBridge, start, end, law, **options),
            _has_brownian_motion,
            "a sphere, or a simplex with the Fisher-Rao metric",
            preserves=_is_uniform,
            random=True,
        ),
        Method(
            "typical-curve",
            "shortest curve on the base's space where points cost minus the log of their typicality",
            typical_curve,
            lambda law: law.base is not None and not law.is_uniform and not law.blocks,
            "one base that is not uniform",
            offered=False,
        ),
        Method(
            "optimised",
            "curve of least energy=..., or of the typicality of base=... in the output of decode=...",
            optimised,
            lambda law: True,
            "an energy, or a base and a decoder",
            takes=("decode",),
            offered=False,
        ),
    )
}


def methods_for(base: Any) -> list[str]:
    """Names of the methods that work for a base distribution, or a list of them; None is the standard normal.

    The curves of least energy, `typical-curve` and `optimised`, are left out: they are solved for, which takes seconds.

    >>> methods_for(torch.distributions.Independent(torch.distributions.Uniform(torch.zeros(3), 1.0), 1))
    ['linear', 'geodesic', 'matched', 'optimal-transport', 'cauchy']
    """
    return _offered(law_of(base))


def _offered(law: Law) -> list[str]:
    return [method.name for method in METHODS.values() if method.offered and method.suits(law)]


def _find(method: str) -> Method:
    name = str(method).replace("_", "-").lower()
    if name not in METHODS:
        close = get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(METHODS)}"
        raise ValueError(f"method: there is no {method!r}; {hint}")
    return METHODS[name]


def build_path(
    start: Any,
    end: Any,
    *,
    method: str = "slerp",
    base: Any = None,
    space: Any = None,
    event_dim: int | None = None,
    **options: Any,
) -> Path | Bridge:
    """The path, or the bridge, that `method` draws from `start` to `end`.

    Args:
        start: Latents `(*batch, *event)`.
        end: Latents, same shape.
        method: A name of `METHODS`; hyphens and underscores are the same.
        base: Base distribution; None is the standard normal. Also gives the space, if it knows one.
        space: A geomstats space, for the methods that use one.
        event_dim: Number of dimensions of one latent: 1 for vectors, 3 for images; None for that of the base, or 1.
        options: Passed on to the method.

    Raises:
        ValueError: An unknown method, or one that does not suit the base; latents of four or more dimensions, such as
            `(batch, channels, height, width)`, without a word on which of them make one point.
    """
    found, law = _find(method), law_of(base)
    if space is not None:
        law = replace(law, space=space)
    if not found.suits(law) and options.get("score") is None:
        others = ", ".join(_offered(law))
        raise ValueError(
            f"method: {found.name} is for {found.asks}, got {law.title}{'' if law.space else ' and no space=...'}; "
            f"these suit it: {others}"
        )
    own = len(getattr(base, "event_shape", ())) or len(getattr(space, "shape", ())) or len(law.blocks[:1])
    if event_dim is None and not own and getattr(start, "ndim", 0) >= 4:
        shape = tuple(start.shape)
        raise ValueError(
            f"event_dim: latents of shape {shape} may be a batch of images or of vectors; pass event_dim=3 to join "
            f"images of shape {shape[-3:]}, or event_dim=1 to join vectors of {shape[-1]} numbers each by itself"
        )
    return found.build(start, end, law, event_dim=max(1, own) if event_dim is None else event_dim, **options)


def interpolate(
    start: Any,
    end: Any,
    *,
    method: str = "slerp",
    decode: Callable[[Tensor], Tensor] | None = None,
    steps: int = 9,
    base: Any = None,
    space: Any = None,
    event_dim: int | None = None,
    samples: int | None = None,
    generator: torch.Generator | None = None,
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
        event_dim: Number of dimensions of one latent, see `build_path`.
        samples: For the random methods, how many paths between each pair; None for one, without its dimension.
        generator: For the random methods, and for the Gamma totals of `matched` under a Dirichlet base, the source of
            randomness; None for torch's global one.
        options: Passed on to the method, such as `horizon` or `kernel`.

    Returns:
        `(*batch, steps, *event)`, or `(*batch, steps, *data)` decoded, with `samples` in front if given; a numpy array
        if `start` is one.

    Raises:
        ValueError: As `build_path`; fewer than 2 steps; `samples` of a method that is not random.

    >>> interpolate(torch.eye(3)[0], torch.eye(3)[1], steps=3)[1]
    tensor([0.7071, 0.7071, 0.0000])
    """
    steps = check_integer("steps", steps, 2)
    if samples is not None:
        samples = check_integer("samples", samples, 0)
    own = {"generator": generator, "decode": decode}
    options |= {name: own[name] for name in _find(method).takes}
    path = build_path(start, end, method=method, base=base, space=space, event_dim=event_dim, **options)
    if isinstance(path, Bridge):
        times = torch.linspace(0, 1, steps, dtype=path.like.dtype, device=path.like.device)
        points = path.sample(times, () if samples is None else (samples,), generator=generator)
        depth = len(path.event_shape)
    else:
        if samples is not None:
            raise ValueError(f"samples: {method} draws one path between two points, got samples={samples}; omit it")
        times = torch.linspace(0, 1, steps, dtype=path.start.dtype, device=path.start.device)
        points, depth = path(times), path.event_dim
    points = decoded(decode, points, depth)
    return points.detach().cpu().numpy() if isinstance(start, np.ndarray) else points


def interpolate_all(start: Any, end: Any, methods: Iterable[str] | None = None, **options: Any) -> dict[str, Any]:
    """`interpolate` by several methods: results by name, in the order given.

    Args:
        start: Latents `(*batch, *event)`.
        end: Latents, same shape.
        methods: Names; None for those of `methods_for(base)`.
        options: As in `interpolate`; what only one method understands does not belong here.
    """
    names = methods_for(options.get("base")) if methods is None else [_find(name).name for name in methods]
    return {name: interpolate(start, end, method=name, **options) for name in names}
