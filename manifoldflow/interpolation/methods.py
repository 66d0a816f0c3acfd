"""The table of interpolation methods, and functions that run any of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher
from .bridges.bridge import Bridge
from .bridges.gaussian_process import GaussianProcessBridge
from .bridges.kernels import SquaredExponential
from .bridges.langevin import LangevinBridge
from .bridges.sphere_bridge import SphereBrownianBridge
from .bridges.typical_bridge import TypicalBridge
from .curves.energy import CurveEnergy
from .curves.optimised import optimise
from .paths.geodesic import Geodesic
from .paths.great_circle import Slerp
from .paths.lines import Linear, NormCorrected
from .paths.matched import Matched
from .paths.path import Path
from .paths.points import decoded
from .paths.transport import CauchyLinear, OptimalTransport, SphericalCauchy

__all__ = ["METHODS", "Method", "build_path", "interpolate", "interpolate_all", "methods_for"]


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        name: As the user types it.
        description: What the path is, in one line.
        suits: Kinds of base it is meant for: "gaussian", "vmf", "uniform" (on a sphere), "dirichlet", "coordinates"
            (independent ones with cdf and icdf).
        preserves: Kinds of base whose law every point of the path has, between independent draws. (A bridge's marginals
            are the base's only between end points with the correlation k(T) of its process.)
        build: From start, end and the keywords event_dim, base, space and the method's own to a path or a bridge.
        random: Whether it is a bridge: other paths at every call.
        needs: Which of "base" and "space" it cannot do without.
        least: Fewest coordinates that a point may have.
        standard: Whether "gaussian" stands for the standard normal only (unless the prior's score=... is given).
    """

    name: str
    description: str
    suits: tuple[str, ...]
    preserves: tuple[str, ...]
    build: Callable[..., Path | Bridge]
    random: bool = False
    needs: tuple[str, ...] = ()
    least: int = 1
    standard: bool = False


def _plain(kind: Callable[..., Path | Bridge]) -> Callable[..., Path | Bridge]:
    """For methods that ask for end points only."""

    def build(start: Any, end: Any, *, event_dim: int, base: Any, space: Any, **options: Any) -> Path | Bridge:
        return kind(start, end, event_dim=event_dim, **options)

    return build


def _based(kind: Callable[..., Path]) -> Callable[..., Path]:
    """For methods that ask for the base; None is the standard normal."""

    def build(start: Any, end: Any, *, event_dim: int, base: Any, space: Any, **options: Any) -> Path:
        return kind(base, start, end, event_dim=event_dim, **options)

    return build


def _on(kind: Callable[..., Path | Bridge]) -> Callable[..., Path | Bridge]:
    """For methods that ask for a space, which fixes the number of event dimensions."""

    def build(start: Any, end: Any, *, event_dim: int, base: Any, space: Any, **options: Any) -> Path | Bridge:
        return kind(space, start, end, **options)

    return build


def _smooth(start: Any, end: Any, *, length_scale: float = 0.5, **options: Any) -> GaussianProcessBridge:
    return GaussianProcessBridge(start, end, kernel=SquaredExponential(length_scale), **options)


def _optimised(
    start: Any, end: Any, *, event_dim: int, base: Any, space: Any, energy: CurveEnergy | None = None, **options: Any
) -> Path:
    if energy is None or event_dim != 1:
        raise ValueError(
            "energy: the method optimised needs a CurveEnergy of vectors (event_dim=1), which knows the index, the "
            "decoder "
            f"and the space, got energy={energy!r} with event_dim={event_dim}; pass energy=..."
        )
    return optimise(energy, torch.as_tensor(start), torch.as_tensor(end), **options)


_GAUSSIAN, _SPHERE = ("gaussian",), ("vmf", "uniform")
_COORDINATES = ("gaussian", "coordinates")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("linear", "straight line", (*_COORDINATES, "dirichlet"), (), _plain(Linear)),
        Method(
            "norm-corrected",
            "straight line at the interpolated norm",
            _GAUSSIAN + _SPHERE,
            ("uniform",),
            _plain(NormCorrected),
        ),
        Method("slerp", "great circle with interpolated norms", _GAUSSIAN + _SPHERE, ("uniform",), _plain(Slerp)),
        Method(
            "geodesic", "geodesic of the space", (*_SPHERE, "dirichlet"), ("uniform",), _on(Geodesic), needs=("space",)
        ),
        Method(
            "matched",
            "combination of Gaussianised parts: every point has the law of the base",
            (*_COORDINATES, *_SPHERE, "dirichlet"),
            (*_COORDINATES, *_SPHERE, "dirichlet"),
            _based(Matched),
        ),
        Method(
            "optimal-transport",
            "straight line transported to the base, coordinate by coordinate",
            _COORDINATES,
            _COORDINATES,
            _based(OptimalTransport),
        ),
        Method("cauchy", "combination of coordinates made Cauchy", _COORDINATES, _COORDINATES, _based(CauchyLinear)),
        Method(
            "spherical-cauchy",
            "normalised straight line with a Cauchy combination of the norms",
            _GAUSSIAN,
            _GAUSSIAN,
            _plain(SphericalCauchy),
            standard=True,
        ),
        Method(
            "bridge",
            "random path of the Ornstein-Uhlenbeck process (or kernel=...) between the points",
            _GAUSSIAN,
            (),
            _plain(GaussianProcessBridge),
            random=True,
            standard=True,
        ),
        Method(
            "smooth-bridge",
            "random path of the process with a squared exponential kernel",
            _GAUSSIAN,
            (),
            _plain(_smooth),
            random=True,
            standard=True,
        ),
        Method(
            "langevin-bridge",
            "random path of the Langevin diffusion of a prior with score=...",
            _GAUSSIAN,
            (),
            _plain(LangevinBridge),
            random=True,
            standard=True,
        ),
        Method(
            "typical-bridge",
            "random path around the great circle at the interpolated norm",
            _GAUSSIAN + _SPHERE,
            ("uniform",),
            _plain(TypicalBridge),
            random=True,
            least=3,
        ),
        Method(
            "brownian-bridge",
            "Brownian motion on the sphere or simplex, tied to both points",
            (*_SPHERE, "dirichlet"),
            ("uniform",),
            _on(SphereBrownianBridge),
            random=True,
            needs=("space",),
        ),
        Method("optimised", "curve of least energy=..., such as a realism energy with a decoder", (), (), _optimised),
    )
}


def methods_for(base: Any) -> list[str]:
    """Names of the methods that suit a base distribution, or a sequence of them; None is the standard normal."""
    if isinstance(base, (Sequence, torch.distributions.MultivariateNormal)):
        return ["matched"]
    if isinstance(base, VonMisesFisher):
        kind = "vmf"
    elif isinstance(base, SphericalUniform):
        kind = "uniform"
    elif isinstance(base, (Dirichlet, torch.distributions.Dirichlet)):
        kind = "dirichlet"
    else:
        kind = "gaussian" if base is None or isinstance(base, Gaussian) else "coordinates"
    n = math.inf if base is None else base.event_shape.numel()
    return [
        method.name
        for method in METHODS.values()
        if kind in method.suits and method.least <= n and not (method.standard and not _is_standard_normal(base))
    ]


def _is_standard_normal(base: Any) -> bool:
    """Whether a base is the standard normal, which None stands for."""
    law = base.base_dist if isinstance(base, torch.distributions.Independent) else base
    if isinstance(law, (Gaussian, torch.distributions.Normal)):
        return bool((law.loc == 0).all() and (law.scale == 1).all())
    return law is None


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
) -> Path | Bridge:
    """The path, or the bridge, that `method` draws from `start` to `end`.

    Args:
        start: Latents `(*batch, *event)`.
        end: Latents, same shape.
        method: A name of `METHODS`; hyphens and underscores are the same.
        base: Base distribution, for the methods that use one; None is the standard normal. Also gives the space if it
            has a `manifold`.
        space: A geomstats space, for the methods that use one.
        event_dim: Number of dimensions of one latent.
        options: Passed on to the method.

    Raises:
        ValueError: Unknown method, or one that lacks its base or space.
    """
    found = _find(method)
    if space is None and base is not None:
        space = getattr(base, "manifold", None)
    for name, given in (("base", base), ("space", space)):
        if name in found.needs and given is None:
            raise ValueError(f"{name}: the method {found.name} needs one, got None; pass {name}=...")
    if found.standard and not _is_standard_normal(base) and options.get("score") is None:
        raise ValueError(
            f"base: the method {found.name} is for the standard normal, got another {type(base).__name__}; of a "
            "Gaussian, interpolate (x - loc) / scale and transform the result back"
        )
    return found.build(start, end, event_dim=event_dim, base=base, space=space, **options)


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
        event_dim: Number of dimensions of one latent.
        samples: For the random methods, how many paths between each pair; None for one, without its dimension.
        generator: For the random methods, and for the Gamma totals of `matched` under a Dirichlet base, the source of
            randomness; None for torch's global one.
        options: Passed on to the method, such as `horizon` or `kernel`.

    Returns:
        `(*batch, steps, *event)`, or `(*batch, steps, *data)` decoded, with `samples` in front if given; a numpy array
        if `start` is one.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps: expected an integer of at least 2 (both ends are included), got {steps!r}")
    if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int) or samples < 0):
        raise ValueError(f"samples: expected a nonnegative integer or None, got {samples!r}")
    if _find(method).name == "matched":
        options["generator"] = generator  # of the Gamma totals of a Dirichlet
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
        methods: Names; None for all that suit the base.
        options: As in `interpolate`; what only one method understands does not belong here.
    """
    names = methods_for(options.get("base")) if methods is None else [_find(name).name for name in methods]
    return {name: interpolate(start, end, method=name, **options) for name in names}
