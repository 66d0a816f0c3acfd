"""Relative length errors of optimised paths on surfaces whose geodesics are known.

    python -m benchmarks.paths_truth

The cases are those of the tests (tests/interpolation/curves/surfaces.py); the worst pair of each is printed.
"""

import torch

from manifoldflow.interpolation import SobolevDescent, optimise
from tests.interpolation.curves.surfaces import CASES

SEGMENTS = (12, 25, 50, 100, 200)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    solver = SobolevDescent(tolerance=1e-10, max_iterations=3000, memory=20)
    print(f"| case | {' | '.join(f'k = {k}' for k in SEGMENTS)} | error(50) / error(100) |")
    print("|" + "---|" * (len(SEGMENTS) + 2))
    for name, build in CASES.items():
        case = build()
        errors = {}
        for k in SEGMENTS:
            path = optimise(case.energy, case.start, case.end, segments=k, starts=case.starts, solver=solver)
            errors[k] = (path.solution.length / case.length - 1).abs().max().item()
        row = " | ".join(f"{e:.1e}" for e in errors.values())
        print(f"| {name} | {row} | {errors[50] / errors[100]:.2f} |")


if __name__ == "__main__":
    main()
