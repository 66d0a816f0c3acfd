"""Glow beside normflows', flows of angles beside zuko's, and zuko's flows through our adapter beside zuko's own."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor

from manifoldflow.charts import Identity
from manifoldflow.distributions import Gaussian
from manifoldflow.flows import ManifoldFlow, TorusFlow, ZukoTransform

from .. import flows as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Flows"
CONVOLUTIONS = "the convolutions of its networks alone"
KEPT = "activations kept"
Shape = tuple[int, int, int]


def glows(shape: Shape, levels: int, steps: int, hidden: int, x: Tensor) -> dict[str, torch.nn.Module]:
    """Ours, initialised, and normflows' if it is installed."""
    ours = script.our_glow(shape, levels, steps, hidden).to(x.device)
    ours.transform.initialise(x)
    try:
        return {"ours": ours, "normflows": script.peer_glow(shape, levels, steps, hidden).to(x.device)}
    except ImportError:
        return {"ours": ours}


def loss(name: str, flow: torch.nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """The mean negative log-likelihood."""
    return lambda: -flow.log_prob(x).mean() if name == "ours" else flow.forward_kld(x)


def draw(name: str, flow: torch.nn.Module, batch: int) -> Callable[[], object]:
    """A batch of samples."""
    return lambda: flow.sample((batch,)) if name == "ours" else flow.sample(batch)


def training(sizes: tuple[Shape, int, int, int, int], device: str) -> dict[str, Callable[[], object]]:
    """A step of Adam."""
    x = torch.rand(sizes[-1], *sizes[0], device=device)
    flows = glows(*sizes[:4], x)
    calls: dict[str, Callable[[], object]] = {name: script.training(f, loss(name, f, x)) for name, f in flows.items()}
    return calls | {"floor": script.convolutions_trained(script.our_glow(*sizes[:4]).to(device), x)}


def sampling(sizes: tuple[Shape, int, int, int, int], device: str) -> dict[str, Callable[[], object]]:
    """A batch of samples."""
    x = torch.rand(sizes[-1], *sizes[0], device=device)
    flows = glows(*sizes[:4], x)
    calls: dict[str, Callable[[], object]] = {n: script.sampling(draw(n, f, sizes[-1])) for n, f in flows.items()}
    return calls | {"floor": script.convolutions_run(script.our_glow(*sizes[:4]).to(device), x)}


def recomputing(sizes: tuple[Shape, int, int, int, int], device: str) -> dict[str, Callable[[], object]]:
    """A step of Adam with the activations made again through the inverse, and with the activations kept."""
    x = torch.rand(sizes[-1], *sizes[0], device=device)
    calls: dict[str, Callable[[], object]] = {}
    for name in ("ours", KEPT):
        flow = script.our_glow(*sizes[:4]).to(device)
        flow.transform.recompute = name == "ours"
        calls[name] = script.training(flow, loss("ours", flow, x))
    return calls


def adapter(kind: str, dim: int, batch: int, device: str) -> dict[str, Callable[[], object]]:
    """log_prob of a zuko flow as the transform of a ManifoldFlow, and as zuko's own."""
    import zuko

    flow = getattr(zuko.flows, kind)(dim).to(device)
    base = Gaussian(torch.zeros(dim, device=device))
    ours = ManifoldFlow(ZukoTransform(flow), Identity(dim), base)
    x = torch.randn(batch, dim, device=device)
    return {"ours": lambda: ours.log_prob(x), "zuko": lambda: flow().log_prob(x)}


def speed(setting: Setting) -> Iterator[Case]:
    """Training and sampling; then levels, steps and channels doubled one by one."""
    tiny = [((1, 8, 8), 1, 1, 4, 2)]
    for sizes in setting.pick([*script.CASES], tiny):
        title = describe(sizes)
        kinds = (("a step of training", training, 1.4, 1.15), ("a batch of samples", sampling, 1.5, 1.2))
        for kind, build, goal, most in kinds:
            yield Case(
                ROOM,
                f"{kind}, {title}",
                partial(build, sizes, setting.device),
                ("normflows",),
                CONVOLUTIONS,
                (Goal("normflows / ours", at_least=goal), Goal("ours / floor", at_most=most)),
                memory=sizes[0] == (1, 32, 32),
            )
    growing = [((1, 16, 16), 2, 4, 32, 64), ((1, 16, 16), 3, 4, 32, 64), ((1, 16, 16), 2, 8, 32, 64)]
    growing += [((1, 16, 16), 2, 4, 64, 64), ((1, 16, 16), 2, 4, 32, 128)]
    for sizes in setting.pick(growing, []):
        yield Case(
            ROOM,
            f"a step of training, {describe(sizes)}",
            partial(training, sizes, setting.device),
            ("normflows",),
            CONVOLUTIONS,
            table="Growth with levels L, steps K, channels H and batch",
        )


def flat(setting: Setting) -> Iterator[Case]:
    """Memory against the number of steps."""
    for steps in setting.pick((8, 32, 128), (2,)):
        sizes = (1, 16, 16), 2, steps, 32, 64
        yield Case(
            ROOM,
            f"a step that recomputes, {describe(sizes)}",
            partial(recomputing, sizes, setting.device),
            (KEPT,),
            table="Activations made again through the inverse",
            memory=True,
        )


def adapters(setting: Setting) -> Iterator[Case]:
    """Only if zuko is there: without it the adapter has nothing to adapt."""
    for kind in ("NSF", "MAF"):
        dim, batch = setting.pick((64, 1000), (3, 4))
        yield Case(
            ROOM,
            f"log_prob of {kind}, {batch:,} x {dim}",
            partial(adapter, kind, dim, batch, setting.device),
            ("zuko",),
            table="zuko's flows through our adapter",
            same=1e-3,
        )


def angles(passes: str, work: str, dim: int, batch: int, device: str) -> dict[str, Callable[[], object]]:
    """A step of Adam, or a batch of samples, of a TorusFlow and of zuko's circular splines that move as many angles."""
    import zuko

    transforms, bins, hidden = 4, 16, 64
    layers = transforms * (2 if passes == "coupling" else 1)  # a coupling layer moves half of the angles
    ours = TorusFlow(dim, passes=passes, transforms=layers, bins=bins, hidden=hidden).to(device)
    peer = zuko.flows.NCSF(dim, transforms=transforms, bins=bins, hidden_features=(hidden, hidden)).to(device)
    if work == "a batch of samples":
        draws = {"ours": lambda: ours.sample((batch,)), "zuko": lambda: peer().sample((batch,))}
        return {name: script.sampling(draw) for name, draw in draws.items()}
    x = torch.rand(batch, dim, device=device) * 6 - 3
    losses = {"ours": lambda: -ours.log_prob(x).mean(), "zuko": lambda: -peer().log_prob(x).mean()}
    return {name: script.training(flow, losses[name]) for name, flow in {"ours": ours, "zuko": peer}.items()}


def tori(setting: Setting) -> Iterator[Case]:
    """Both kinds of layers, in two dimensions and in seven."""
    for dim, batch in setting.pick([(2, 256), (7, 256)], [(2, 4)]):
        for work in ("a step of training", "a batch of samples"):
            for passes in ("autoregressive", "coupling"):
                yield Case(
                    ROOM,
                    f"{work}, T^{dim}, {passes}, batch {batch}",
                    partial(angles, passes, work, dim, batch, setting.device),
                    ("zuko",),
                    goals=(Goal("zuko / ours", at_least=1.0),),
                    table="Angles: TorusFlow beside zuko's NCSF, 4 transforms of every angle, 16 bins, 64 hidden units",
                )


def describe(sizes: tuple[Shape, int, int, int, int]) -> str:
    """Sizes in one line."""
    shape, levels, steps, hidden, batch = sizes
    return f"{'x'.join(map(str, shape))}, L{levels} K{steps} H{hidden}, batch {batch}"


@cache
def exactness(steps: int) -> dict[str, dict[str, float]]:
    """After some training in float32: errors of the round trip, and of the log-determinant against autodiff."""
    shape, found = (1, 8, 8), {}
    x = torch.rand(64, *shape)
    for name, flow in glows(shape, 2, 4, 16, x).items():
        step = script.training(flow, loss(name, flow, x))
        for _ in range(steps):
            step()
        with torch.no_grad():
            if name == "ours":
                z, ladj = flow.transform.call_and_ladj(x)
                back = flow.transform.inv(z)
                jacobian = torch.func.jacrev(lambda v, flow=flow: flow.transform(v).flatten())(x[0])
            else:
                latents, ladj = flow.inverse_and_log_det(x)
                back = flow.forward_and_log_det(latents)[0]
                jacobian = torch.func.jacrev(
                    lambda v, flow=flow: torch.cat([z.flatten() for z in flow.inverse_and_log_det(v[None])[0]])
                )(x[0])
        exact = torch.linalg.slogdet(jacobian.reshape(64, 64).double()).logabsdet
        found[name] = {"inverse": (back - x).abs().max().item(), "volume": (ladj[0] - exact).abs().item()}
    return found


def errors(quantity: str, steps: int) -> dict[str, float]:
    """One quantity of both."""
    return {name: values[quantity] for name, values in exactness(steps).items()}


def accuracy(setting: Setting) -> Iterator[Score]:
    """Round trips and log-determinants."""
    steps = setting.pick(100, 1)
    titles = {"inverse": "|x - inverse(forward(x))|, largest of 64 images", "volume": "log-determinant of an image"}
    for quantity, title in titles.items():
        yield Score(
            ROOM,
            f"{title}, float32, after {steps} steps of training",
            partial(errors, quantity, steps),
            ("normflows",),
            (Goal("ours", at_most=1e-4),) if quantity == "inverse" else (),
            "Accuracy (absolute errors; the log-determinant against autodiff; 1x8x8, L2 K4 H16)",
        )


def cases(setting: Setting) -> list[Case | Score]:
    """All of them; the adapter's only where there is something to adapt."""
    try:
        import zuko  # noqa: F401
    except ImportError:
        return [*speed(setting), *flat(setting), *accuracy(setting)]
    return [*speed(setting), *flat(setting), *tori(setting), *adapters(setting), *accuracy(setting)]
