"""Geometry, laws and flows at 30 x 3 and 1,000 x 64, where the number of operations is what a call costs."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from manifoldflow.distributions import (
    AngularCentralGaussian,
    Bingham,
    Dirichlet,
    Gaussian,
    Kent,
    KernelDensity,
    PowerSpherical,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    Watson,
    WrappedNormal,
)
from manifoldflow.flows import EuclideanFlow, SimplexFlow, SphereFlow, TorusFlow
from manifoldflow.manifolds import Hypersphere, Torus

from .. import distributions as laws_script
from .. import geometry as script
from .case import Case, Goal, Setting

__all__ = ["cases"]

ROOM = "Small arrays"
SHAPES = (30, 3), (1000, 64)
CALLS = 20
NORMAL = "torch's Normal with as many numbers"
Calls = dict[str, Callable[[], object]]


def several(calls: Calls, count: int = CALLS) -> Calls:
    """Each call so many times, since a single one is too short for the clock."""

    def repeated(call: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            for _ in range(count - 1):
                call()
            return call()

        return run

    return {name: repeated(call) for name, call in calls.items()}


def geometry(operation: str, rows: int, n: int, device: str) -> Calls:
    """Ours and both peers."""
    calls = script.operations(rows, n, device)[operation]
    return several({name: call for name, call in calls.items() if name in ("ours", "geomstats", "geoopt")})


def all_laws(n: int) -> dict[str, Callable[[], Any]]:
    """A law of each kind in R^n, float32."""
    torch.manual_seed(0)
    loc = torch.nn.functional.normalize(torch.randn(n), dim=0)
    spread = torch.diag(torch.linspace(1, 2, n))
    found = {
        "von Mises-Fisher": lambda: VonMisesFisher(loc, float(n)),
        "power spherical": lambda: PowerSpherical(loc, torch.tensor(float(n))),
        "Watson": lambda: Watson(loc, float(n)),
        "Bingham": lambda: Bingham(-spread),
        "angular central Gaussian": lambda: AngularCentralGaussian(spread),
        "wrapped normal on the sphere": lambda: WrappedNormal(Hypersphere(n - 1), loc, 0.3),
        "wrapped normal on the torus": lambda: WrappedNormal(Torus(n), loc, 0.3),
        "von Mises": lambda: VonMises(loc, torch.full((n,), 5.0)),
        "Dirichlet": lambda: Dirichlet(torch.full((n,), 2.0)),
        "Gaussian": lambda: Gaussian(loc, torch.ones(n)),
        "kernel density of 100 points": lambda: KernelDensity(SphericalUniform(n - 1).sample((100,)), 0.3),
    }
    if n == 3:
        axes = torch.linalg.qr(torch.randn(3, 3))[0]
        found["Kent"] = lambda: Kent(axes, 10.0, 2.0)
    return found


def peers_of(name: str, law: Any) -> dict[str, Any]:
    """The same law as others have it."""
    if name == "Dirichlet":
        return {"torch": torch.distributions.Dirichlet(law.concentration)}
    if name == "von Mises":
        return {"torch": torch.distributions.Independent(torch.distributions.VonMises(law.loc, law.concentration), 1)}
    if name == "Gaussian":
        return {"torch": normal(law.event_shape[-1])}
    return {}


def normal(n: int) -> Any:
    """The floor."""
    return torch.distributions.Independent(torch.distributions.Normal(torch.zeros(n), torch.ones(n)), 1)


def densities(name: str, rows: int, n: int) -> Calls:
    """log_prob at draws; each library checks its arguments as it does by default."""
    law = all_laws(n)[name]()
    x = law.sample((rows,))
    others = {peer: partial(theirs.log_prob, x) for peer, theirs in peers_of(name, law).items()}
    return several({"ours": partial(law.log_prob, x), **others, "floor": partial(normal(n).log_prob, x)})


def draws(name: str, rows: int, n: int) -> Calls:
    """sample."""
    law, shape = all_laws(n)[name](), torch.Size((rows,))
    others = {peer: partial(theirs.sample, shape) for peer, theirs in peers_of(name, law).items()}
    if name == "von Mises-Fisher":
        samplers = laws_script.samplers(n)
        others = {peer: partial(samplers[peer], rows) for peer in ("geomstats", "scipy") if peer in samplers}
    return several({"ours": partial(law.sample, shape), **others, "floor": partial(normal(n).sample, shape)})


def flow_of(kind: str, n: int) -> Any:
    """A flow whose points have n coordinates, two transforms, 32 hidden units."""
    sizes = {"transforms": 2, "hidden": 32}
    return {
        "R^n": lambda: EuclideanFlow(n, **sizes),
        "a sphere": lambda: SphereFlow(n - 1, **sizes),
        "a torus": lambda: TorusFlow(n, **sizes),
        "a simplex": lambda: SimplexFlow(n - 1, **sizes),
    }[kind]()


def flow_calls(kind: str, work: str, rows: int, n: int) -> Calls:
    """log_prob or sample, without gradients; the floor is a network with as many hidden units."""
    flow = flow_of(kind, n)
    with torch.no_grad():
        x = flow.sample((rows,))
    network = torch.nn.Sequential(torch.nn.Linear(n, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU())
    calls: Calls = {
        "ours": (lambda: flow.log_prob(x)) if work == "log_prob" else (lambda: flow.sample((rows,))),
        "floor": lambda: network(x),
    }

    def without_gradients(call: Callable[[], object]) -> Callable[[], object]:
        return lambda: torch.no_grad()(call)()

    return several({name: without_gradients(call) for name, call in calls.items()}, 3)


def cases(setting: Setting) -> Iterator[Case]:
    """Geometry, laws, flows."""
    for rows, n in setting.pick(SHAPES, SHAPES[:1]):
        for operation in ("exp", "log", "dist", "slerp"):
            yield Case(
                ROOM,
                f"{operation}, {rows:,} x {n}",
                partial(geometry, operation, rows, n, setting.device),
                ("geomstats", "geoopt"),
                goals=(Goal("geoopt / ours", at_least=1.0),),
                table=f"Geometry ({CALLS} calls)",
                same=1e-2,
            )
    if setting.device != "cpu":
        return
    for rows, n in setting.pick(SHAPES, SHAPES[:1]):
        for title, build in (("log_prob", densities), ("sample", draws)):
            for name in all_laws(n):
                yield Case(
                    ROOM,
                    f"{name}.{title}, {rows:,} x {n}",
                    partial(build, name, rows, n),
                    tuple(peers_of(name, all_laws(n)[name]())),
                    NORMAL,
                    table=f"Laws ({CALLS} calls)",
                )
    for rows, n in setting.pick(SHAPES, SHAPES[:1]):
        for kind in ("R^n", "a sphere", "a torus", "a simplex"):
            for work in ("log_prob", "sample"):
                yield Case(
                    ROOM,
                    f"flow of {kind}, {work}, {rows:,} x {n}",
                    partial(flow_calls, kind, work, rows, n),
                    (),
                    "two layers of 32 hidden units",
                    table="Flows (3 calls)",
                )
