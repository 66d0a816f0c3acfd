"""A tiny flow on 4x4 images, and end points from its base."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from manifoldflow.flows import FlowDescription, ManifoldFlow, build_flow
from manifoldflow.jobs import JobPaths, PathValues, RowSolver, write_ends
from manifoldflow.training import SavedFlow, save_flow

LEVELS = 17


@dataclass
class Tiny:
    folder: Path
    flow: ManifoldFlow
    start: torch.Tensor
    end: torch.Tensor

    def ends(self, path, rows=None):
        start, end = (points[:rows].numpy() for points in (self.start, self.end))
        write_ends(path, start.shape, [start], [end])
        return path

    def solver(self, method="matched", *, steps=5, seed=3, options=None, values=None, store=("points", "images")):
        paths = JobPaths(self.flow, method=method, steps=steps, seed=seed, options=options)
        return RowSolver(self.flow, paths, shape=(1, 4, 4), levels=LEVELS, store=store, values=values)


def tiny(folder, base):
    torch.manual_seed(1)
    description = FlowDescription((1, 4, 4), base=base, levels=1, steps=2, hidden=4)
    flow = build_flow(description).eval().requires_grad_(False)
    flow.transform.initialise(torch.rand(64, 1, 4, 4))
    folder.mkdir()
    save_flow(folder, SavedFlow(flow, description, LEVELS, {}))
    start, end = flow.base.sample((2, 40))
    return Tiny(folder, flow, start, end)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {base: tiny(folder / base, base) for base in ("gaussian", "vmf", "dirichlet")}


@pytest.fixture(scope="session")
def vmf(models):
    return models["vmf"]


@pytest.fixture
def values(vmf):
    return PathValues(vmf.flow, levels=LEVELS)
