"""Speed of Glow beside normflows' Glow of the same levels, steps and channels, in one process.

    python benchmarks/flows.py [growth] [--threads N] [--clock cpu] [--repeats N]

Each line interleaves the two, step by step, and quotes medians of images a second in training (a
step of Adam) and in sampling; `growth` varies levels, steps, channels and batch one by one. The
memory is the highest of a training step above what the process had before it (Linux). With
`--clock cpu` the processor's time is taken, which other processes on the machine disturb less.
Needs the extra `bench`.
"""

import argparse
import ctypes
import gc
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from manifoldflow.flows import FlowDescription, ManifoldFlow, build_flow

Case = tuple[tuple[int, int, int], int, int, int, int]
SMALL, LARGE, COLOUR = (1, 8, 8), (1, 32, 32), (3, 32, 32)
CASES: list[Case] = [(SMALL, 2, 8, 64, 64), (SMALL, 2, 8, 64, 256), (LARGE, 2, 8, 64, 64), (COLOUR, 3, 8, 64, 32)]
GROWTH: list[Case] = [
    *CASES,
    *((LARGE, levels, 8, 64, 64) for levels in (1, 3)),
    *((LARGE, 2, steps, 64, 64) for steps in (4, 16)),
    *((LARGE, 2, 8, hidden, 64) for hidden in (32, 128, 256)),
    *((LARGE, 2, 8, 64, batch) for batch in (16, 256)),
]


def peer_glow(shape: tuple[int, int, int], levels: int, steps: int, hidden: int) -> torch.nn.Module:
    """normflows' multi-scale Glow, put together as in its own example."""
    import normflows  # ours can be measured without it

    c, h, w = shape
    bases, merges, flows = [], [], []
    for i in range(levels):
        blocks = [
            normflows.flows.GlowBlock(c * 2 ** (levels + 1 - i), hidden, split_mode="channel", scale=True)
            for _ in range(steps)
        ]
        flows.append([*blocks, normflows.flows.Squeeze()])
        if i > 0:
            merges.append(normflows.flows.Merge())
            latent = (c * 2 ** (levels - i), h // 2 ** (levels - i), w // 2 ** (levels - i))
        else:
            latent = (c * 2 ** (levels + 1), h // 2**levels, w // 2**levels)
        bases.append(normflows.distributions.DiagGaussian(latent))
    return normflows.MultiscaleFlow(bases, flows, merges)


def our_glow(shape: tuple[int, int, int], levels: int, steps: int, hidden: int) -> ManifoldFlow:
    """Ours with the same base, a Gaussian."""
    return build_flow(FlowDescription(shape, levels=levels, steps=steps, hidden=hidden))


def training(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One step of Adam."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def run() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def conditioners(flow: ManifoldFlow, x: torch.Tensor) -> list[tuple[torch.nn.Module, torch.Tensor]]:
    """The networks of a Glow, which are its 3x3, 1x1 and 3x3 convolutions, and an input of each."""
    nets = [part for part in flow.transform.modules() if isinstance(part, torch.nn.Sequential)]
    inputs: dict[torch.nn.Module, torch.Tensor] = {}
    hooks = [net.register_forward_hook(lambda net, given, _: inputs.update({net: given[0].detach()})) for net in nets]
    with torch.enable_grad():  # else they run in pieces
        flow.log_prob(x)
    for hook in hooks:
        hook.remove()
    return [(net, inputs[net]) for net in nets]


def convolutions_trained(flow: ManifoldFlow, x: torch.Tensor) -> Callable[[], None]:
    """A step of Adam of the convolutions alone, with gradients of their inputs, which a flow needs."""
    nets = [(net, given.requires_grad_()) for net, given in conditioners(flow, x)]
    weights = torch.nn.ModuleList(net for net, _ in nets)
    total = lambda: sum((net(given).mean() for net, given in nets), x.new_zeros(()))  # noqa: E731
    return training(weights, total)


def convolutions_run(flow: ManifoldFlow, x: torch.Tensor) -> Callable[[], None]:
    """The convolutions alone, once each."""
    nets = conditioners(flow, x)
    return sampling(lambda: [net(given) for net, given in nets])


def sampling(draw: Callable[[], object]) -> Callable[[], None]:
    """One batch of samples."""

    def run() -> None:
        with torch.no_grad():
            draw()

    return run


def medians(runs: list[Callable[[], None]], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Seconds of one call of each, in turn."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, taken in zip(runs, times):
            start = clock()
            run()
            taken.append(clock() - start)
    return [statistics.median(taken) for taken in times]


def memory(run: Callable[[], None]) -> float:
    """MiB that a call needs at its highest, above what the process has before it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> str:
    """A row of the table."""
    shape, levels, steps, hidden, batch = case
    torch.manual_seed(0)
    theirs, ours = peer_glow(*case[:4]), our_glow(*case[:4])
    x = torch.rand(batch, *shape)
    ours.transform.initialise(x)
    train = [training(theirs, lambda: theirs.forward_kld(x)), training(ours, lambda: -ours.log_prob(x).mean())]
    draw = [sampling(lambda: theirs.sample(batch)), sampling(lambda: ours.sample((batch,)))]
    cells = []
    for runs in (train, draw):
        a, b = medians(runs, repeats, clock)
        cells.append(f"{batch / a:9.0f} {batch / b:12.0f} {a / b:6.2f}")
    peaks = [memory(run) for run in train]
    counts = [sum(p.numel() for p in model.parameters()) for model in (theirs, ours)]
    return (
        f"{'x'.join(map(str, shape)):8} {levels} {steps:2} {hidden:3} {batch:5}  {'   '.join(cells)}   "
        f"{peaks[0]:6.0f} {peaks[1]:6.0f}   {counts[0]} / {counts[1]}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["speed", "growth"], default="speed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # the peer's own
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.clock} time; images a second")
    columns = "normflows manifoldflow  ratio"
    print(f"{'':25}training{'':25}sampling{'':22}MiB a step")
    print(f"shape    L  K   H batch  {columns}   {columns}   theirs   ours   parameters")
    for case in GROWTH if options.what == "growth" else CASES:
        clock = time.perf_counter if options.clock == "wall" else time.process_time
        print(measure(case, options.repeats, clock), flush=True)


if __name__ == "__main__":
    main()
