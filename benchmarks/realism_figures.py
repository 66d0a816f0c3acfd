"""The experiments of the Realism Index papers, rerun: figures 1, 2, 4 to 9 and the soap-bubble test, with numbers.

    python benchmarks/realism_figures.py --out runs/realism [--data mnist] [--epochs 30] [--pairs 16]

The same as `manifoldflow experiment realism` with MNIST, on one thread.
"""

import argparse
from pathlib import Path

import torch

from manifoldflow.experiments.realism.study import RealismSettings, realism_to_markdown, run_realism
from manifoldflow.steps import DataChoice
from manifoldflow.training import TrainSettings


def main() -> None:
    """Parse, run, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    training = TrainSettings(epochs=options.epochs, batch_size=64, checkpoint_every=200)
    settings = RealismSettings(DataChoice(options.data), training, pairs=options.pairs)
    print(realism_to_markdown(run_realism(options.out, settings, progress=False)))


if __name__ == "__main__":
    main()
