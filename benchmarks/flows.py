"""Training speed of Glow beside normflows' Glow of the same levels, steps and channels, in one process.

    python benchmarks/flows.py [--threads N]

Each line interleaves the two, step by step, and quotes medians. Needs the extra `bench`.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import normflows
import torch

from manifoldflow.flows import Glow

CASES = [((1, 8, 8), 2, 8, 64, 64), ((1, 8, 8), 2, 8, 64, 256), ((1, 32, 32), 2, 8, 64, 64)]
REPEATS = 7


def peer_glow(shape: tuple[int, int, int], levels: int, steps: int, hidden: int) -> torch.nn.Module:
    """normflows' multi-scale Glow, put together as in its own example."""
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


def step(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One step of Adam."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def run() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def seconds(run: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print images a second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    torch.set_num_threads(parser.parse_args().threads)
    warnings.simplefilter("ignore")  # the peer's own
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; images a second in training")
    print("shape        L  K   H  batch   normflows   manifoldflow   ratio   parameters")
    for shape, levels, steps, hidden, batch in CASES:
        torch.manual_seed(0)
        theirs, ours = peer_glow(shape, levels, steps, hidden), Glow(shape, levels=levels, steps=steps, hidden=hidden)
        x = torch.rand(batch, *shape)
        ours.initialise(x)

        def our_loss(x: torch.Tensor = x, ours: Glow = ours) -> torch.Tensor:
            z, ladj = ours.call_and_ladj(x)
            return (0.5 * z.square().sum(1) - ladj).mean()

        runs = step(theirs, lambda x=x, theirs=theirs: theirs.forward_kld(x)), step(ours, our_loss)
        for run in runs:
            run()
        times = [[seconds(run) for run in runs] for _ in range(REPEATS)]
        a, b = (statistics.median(column) for column in zip(*times))
        counts = [sum(p.numel() for p in m.parameters()) for m in (theirs, ours)]
        print(
            f"{'x'.join(map(str, shape)):10} {levels:3} {steps:2} {hidden:3} {batch:6} {batch / a:11.0f} "
            f"{batch / b:14.0f} {a / b:7.2f}   {counts[0]} / {counts[1]}"
        )


if __name__ == "__main__":
    main()
