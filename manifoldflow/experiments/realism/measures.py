"""What the realism experiment asks of optimised paths: figures 1, 2, 4 to 9, and the soap-bubble test."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConvergenceWarning
from ...interpolation import CurveEnergy, Linear, OptimisedPath, SobolevDescent, Status, optimise, realism_energy
from ...models import DCGAN, WAE
from ...realism import (
    DensityIndex,
    FeatureDensity,
    Index,
    StandardNormalIndex,
    TwoSidedIndex,
    feature_index,
    mirrored,
    plane_coordinates,
    plane_points,
)
from ...training import Classifier

__all__ = [
    "EPS",
    "PathOptions",
    "SOAP_HEADER",
    "Solved",
    "near_linearity",
    "plane",
    "profile",
    "realism_row",
    "soap_bubble",
    "solve",
    "step_lengths",
]

EPS = (1e-5, 1e-3, 0.01, 0.1, 0.25)
"""The values of figure 9."""


@dataclass(frozen=True)
class PathOptions:
    """How paths are solved.

    Args:
        segments: k of every path.
        pieces: In how many pieces the index looks at a segment; decoding stays at the nodes.
        eps: Of the regularised index.
        iterations: Evaluations of the energy, at most. Through a trained generator the last per cent of the energy
            takes hundreds of steps and changes no picture, so the tolerance is 1e-3.
    """

    segments: int = 50
    pieces: int = 4
    eps: float = 0.1
    iterations: int = 300

    @property
    def times(self) -> Tensor:
        """Times of the nodes."""
        return torch.linspace(0, 1, self.segments + 1)


@dataclass(frozen=True)
class Solved:
    """Optimised paths of some pairs beside the straight ones."""

    model: DCGAN | WAE
    energy: CurveEnergy
    path: OptimisedPath
    line: Linear

    def images(self, times: Tensor, pairs: int) -> Tensor:
        """Straight and optimised path of the first pairs in turn, decoded: `(2 pairs, m, c, h, w)`."""
        points = torch.stack([self.line(times)[:pairs], self.path(times)[:pairs]], 1).flatten(0, 1)
        return self.model.decode(points.flatten(0, 1)).unflatten(0, points.shape[:2])


def solve(model: DCGAN | WAE, index: Index, start: Tensor, end: Tensor, options: PathOptions) -> Solved:
    """Optimise the realism of decoded paths from straight starts.

    Raises:
        KeyboardInterrupt: The solver was interrupted.
    """
    energy = realism_energy(index.regularised(options.eps), model.decode, pieces=options.pieces)
    solver = SobolevDescent(tolerance=1e-3, max_iterations=options.iterations, memory=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the tables have the share of pairs that converged
        path = optimise(energy, start, end, segments=options.segments, solver=solver, progress=False)
    if bool((path.solution.status == Status.INTERRUPTED).any()):
        raise KeyboardInterrupt("interrupted; finished trainings are kept, and the same command continues")
    return Solved(model, energy, path, Linear(start, end))


def realism_row(solved: Solved, options: PathOptions) -> list[Any]:
    """Figures 2, 5, 7, 8: realism of straight and optimised curves (medians), length ratio, converged share."""
    line = solved.energy.length(solved.line(options.times))
    found = solved.path.solution
    return [
        line.neg().exp().median().item(),
        found.realism.median().item(),
        (found.length / line).median().item(),
        found.converged.float().mean().item(),
    ]


def profile(index: Index, solved: Solved) -> tuple[Tensor, dict[str, Tensor]]:
    """Figure 1: times, and the index along the straight and the optimised paths, `(pairs, m)`."""
    times = torch.linspace(0, 1, 101)
    return times, {"linear": index(solved.line(times)), "optimised": index(solved.path(times))}


def plane(index: DensityIndex, solved: Solved, pair: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Figure 6: the grid, the log-density in the plane of a pair's ends, and its path in that plane (equation 27)."""
    reach = torch.linspace(-0.8, 1.8, 160)
    grid = torch.stack(torch.meshgrid(reach, reach, indexing="xy"), -1)
    density = index.score(plane_points(solved.path.start[pair], solved.path.end[pair], grid))
    return reach, density, plane_coordinates(solved.path.nodes[pair])


def step_lengths(
    model: DCGAN | WAE, index: Index, start: Tensor, end: Tensor, options: PathOptions
) -> tuple[dict[str, Tensor], list[list[Any]]]:
    """Figure 9: squared decoded step lengths of the first pair for each eps, and a row for each about all pairs."""
    plain = CurveEnergy(decoder=model.decode)
    line = plain.length(Linear(start, end)(options.times))
    curves, rows = {}, []
    for eps in EPS:
        solved = solve(model, index, start, end, PathOptions(options.segments, options.pieces, eps, options.iterations))
        nodes = solved.path.nodes
        squared = plain.segments(nodes).squared
        curves[f"eps = {eps:g}"] = squared[0]
        rows.append(
            [
                eps,
                (squared.amax(1) / squared.mean(1)).median().item(),
                (plain.length(nodes) / line).median().item(),
                index(nodes).amin(1).mean().item(),
                solved.path.solution.converged.float().mean().item(),
            ]
        )
    return curves, rows


def near_linearity(solved: Solved) -> list[Any]:
    """Figure 4: how far optimised paths leave the line, over its length, and their decoded length over the line's."""
    nodes, start, end = solved.path.nodes, solved.path.start[:, None], solved.path.end[:, None]
    span = end - start
    share = ((nodes - start) * span).sum(-1, keepdim=True) / span.square().sum(-1, keepdim=True)
    away = (nodes - start - share * span).norm(dim=-1).amax(1) / span.norm(dim=-1)[:, 0]
    plain = CurveEnergy(decoder=solved.model.decode)
    times = torch.linspace(0, 1, nodes.shape[1])
    ratio = plain.length(nodes) / plain.length(solved.line(times))
    return [away.median().item(), ratio.median().item()]


SOAP_HEADER = (
    "index",
    "at the ends",
    "in the middle, half of the coordinates mirrored",
    "in the middle, all mirrored",
    "in the middle of paths optimised under it (half)",
    "their realism over the line's",
)

_SHARES = {"half": 0.5, "all": 1.0}


def soap_bubble(
    model: DCGAN, extractor: Classifier, images: Tensor, options: PathOptions, *, points: int = 1000, pairs: int = 8
) -> tuple[list[list[Any]], dict[str, Solved], Tensor]:
    """Test a generator with the standard normal prior.

    Args:
        model: The generator.
        extractor: Gives the features; see `FeatureDensity`.
        images: Real ones, for the moments of the features.
        options: How paths are solved; the indices of features decode every point that they look at, so their
            segments are looked at once.
        points: End points for the means.
        pairs: How many of them are connected by paths.

    Returns:
        Rows under `SOAP_HEADER`; the paths by index; and images `(4, 12, c, h, w)` of ends, mirrored ends (half), and
        the middles (half, all).
    """
    dim = model.latent_dim
    start = model.prior.sample((points,))
    ends = {name: mirrored(start, share=share) for name, share in _SHARES.items()}
    middle = {name: 0.5 * (start + end) for name, end in ends.items()}
    features = torch.cat([extractor(part) for part in images.split(500)])
    density = StandardNormalIndex(dim)
    decoded = feature_index(FeatureDensity(features, model.decode, extractor), model.prior.sample((4 * points,)))
    indices: dict[str, Index] = {
        "density": density,
        "two-sided density (typicality)": TwoSidedIndex(density),
        "feature": decoded,
        "two-sided feature": TwoSidedIndex(decoded),
    }
    rows: list[list[Any]] = []
    paths = {}
    for name, index in indices.items():
        wanted = replace(options, iterations=min(options.iterations, 100))
        if "feature" in name:
            wanted = replace(wanted, pieces=1)
        solved = solve(model, index, start[:pairs], ends["half"][:pairs], wanted)
        line = solved.energy.length(solved.line(wanted.times))
        rows.append(
            [
                name,
                0.5 * (index(start).mean() + index(ends["half"]).mean()).item(),
                index(middle["half"]).mean().item(),
                index(middle["all"]).mean().item(),
                index(solved.path(torch.tensor([0.5]))[:, 0]).mean().item(),
                (line - solved.path.solution.length).exp().median().item(),
            ]
        )
        paths[name] = solved
    shown = torch.stack([start[:12], ends["half"][:12], middle["half"][:12], middle["all"][:12]])
    return rows, paths, model.decode(shown.flatten(0, 1)).unflatten(0, shown.shape[:2])
