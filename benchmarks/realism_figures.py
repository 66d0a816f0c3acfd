"""The experiments of the Realism Index papers, rerun: figures 1, 2, 4 to 9 and the soap-bubble test, with numbers.

    python benchmarks/realism_figures.py --out runs/realism [--data mnist] [--epochs 20]

Trains a DCGAN with the semicircle prior, one with the standard normal prior and a WAE (kept in --out for the next
call), then draws the figures there and prints one table per experiment.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import torch
from torch import Tensor, nn

from manifoldflow.data import ImageSet, load_images, split
from manifoldflow.interpolation import CurveEnergy, Linear, OptimisedPath, SobolevDescent, optimise, realism_energy
from manifoldflow.models import DCGAN, WAE
from manifoldflow.realism import (
    DensityIndex,
    FeatureDensity,
    Index,
    StandardNormalIndex,
    TwoSidedIndex,
    density_index,
    feature_index,
    mirrored,
    plane_coordinates,
    plane_points,
    semicircle,
)
from manifoldflow.training.autoencoder import train_autoencoder
from manifoldflow.training.classifier import Classifier, train_classifier
from manifoldflow.training.gan import train_gan

mpl.use("Agg")
from matplotlib import pyplot as plt

DIM = 20
SEGMENTS = 50
PIECES = 4  # of a segment, for the index only: decoding stays at the nodes
# Through a trained generator the last per cent of the energy takes hundreds of steps and changes no picture.
SOLVER = SobolevDescent(tolerance=1e-3, max_iterations=300, memory=20)


def models(images: Tensor, out: Path, epochs: int) -> dict[str, DCGAN | WAE]:
    """The three models, trained once per folder."""
    shape = (images.shape[1], images.shape[2], images.shape[3])
    torch.manual_seed(0)
    built: dict[str, DCGAN | WAE] = {
        "gan_semi": DCGAN(shape, prior=semicircle(DIM), channels=16),
        "gan_normal": DCGAN(shape, DIM, channels=16),
        "wae_semi": WAE(shape, prior=semicircle(DIM), channels=16),
    }
    for name, model in built.items():
        kept = out / f"{name}.pt"
        if kept.exists():
            model.load_state_dict(torch.load(kept, weights_only=True))
        elif isinstance(model, DCGAN):
            train_gan(model, images, epochs=epochs, progress=False)
        else:
            train_autoencoder(model, images, epochs=epochs, progress=False)
        torch.save(model.state_dict(), kept)
        model.eval().requires_grad_(False)
    return built


def strips(title: str, model: DCGAN | WAE, path: OptimisedPath, out: Path, pairs: int = 5, images: int = 11) -> None:
    """Linear above optimised, decoded at equal times, for the first pairs."""
    times = torch.linspace(0, 1, images)
    rows = []
    for i in range(pairs):
        for curve in (Linear(path.start, path.end), path):
            picture = nn.functional.pad(model.decode(curve(times)[i]).mean(1), (0, 1, 0, 1), value=0.5)
            rows.append(torch.cat(list(picture), 1))
        rows.append(torch.ones(2, rows[-1].shape[1]))
    sheet = torch.cat(rows[:-1])
    figure, axes = plt.subplots(figsize=(images * 0.8, sheet.shape[0] / sheet.shape[1] * images * 0.8 + 0.4))
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_title(f"{title}: linear above optimised, {pairs} pairs", fontsize=9)
    axes.axis("off")
    figure.savefig(out, dpi=130, bbox_inches="tight")
    plt.close(figure)


def realism_profile(index: Index, path: OptimisedPath, out: Path) -> None:
    """Figure 1: realism along the straight and the optimised path."""
    times = torch.linspace(0, 1, 101)
    straight, found = index(Linear(path.start, path.end)(times)), index(path(times))
    figure, axes = plt.subplots(figsize=(5, 3))
    for values, name, colour in ((straight, "linear", "tab:red"), (found, "optimised", "tab:blue")):
        axes.plot(times, values.mean(0), color=colour, label=name)
        axes.fill_between(times, values.quantile(0.1, 0), values.quantile(0.9, 0), color=colour, alpha=0.2)
    axes.set(xlabel="time", ylabel="realism index", title="mean and 10 to 90 % of the pairs")
    axes.legend()
    figure.savefig(out, dpi=130, bbox_inches="tight")
    plt.close(figure)
    print("\nfigure 1: realism index along the path (DCGAN, semicircle prior)\n")
    print("| path | lowest, mean over pairs | mean along the path |\n|---|---|---|")
    for name, values in (("linear", straight), ("optimised", found)):
        print(f"| {name} | {values.amin(1).mean():.3f} | {values.mean():.3f} |")


def plane_figure(index: DensityIndex, path: OptimisedPath, out: Path, pair: int = 0) -> None:
    """Figure 6: one path projected onto the plane of its ends, over the density in that plane (equation 27)."""
    xy = plane_coordinates(path.nodes[pair])
    reach = torch.linspace(-0.8, 1.8, 160)
    grid = torch.stack(torch.meshgrid(reach, reach, indexing="xy"), -1)
    density = index.score(plane_points(path.start[pair], path.end[pair], grid))
    figure, axes = plt.subplots(figsize=(4.2, 4))
    axes.contourf(reach, reach, density, levels=24, cmap="viridis")
    axes.plot(xy[:, 0], xy[:, 1], "w.-", markersize=3, label="optimised")
    axes.plot([1, 0], [0, 1], "r--", label="linear")
    axes.set(xlabel="x (start)", ylabel="y (end)", title="log-density in the plane of the ends", aspect="equal")
    axes.legend(fontsize=8)
    figure.savefig(out, dpi=130, bbox_inches="tight")
    plt.close(figure)


def step_figure(index: Index, model: DCGAN | WAE, start: Tensor, end: Tensor, out: Path) -> None:
    """Figure 9: squared decoded step lengths along the path for several eps, from a linear start."""
    figure, axes = plt.subplots(figsize=(5, 3))
    print("\nfigure 9: squared decoded step lengths of the optimised path (one pair) and their spread (all pairs)\n")
    print(
        "| eps | largest / mean squared step | decoded length / that of the line | lowest realism index | converged |"
    )
    print("|---|---|---|---|---|")
    plain = CurveEnergy(decoder=model.decode)
    line = plain.length(Linear(start, end)(torch.linspace(0, 1, SEGMENTS + 1)))
    for eps in (1e-5, 1e-3, 0.01, 0.1, 0.25):
        energy = realism_energy(index.regularised(eps), model.decode, pieces=PIECES)
        path = optimise(energy, start, end, segments=SEGMENTS, solver=SOLVER)
        squared = plain.segments(path.nodes).squared
        axes.semilogy(squared[0], label=f"eps = {eps:g}")
        spread = (squared.amax(1) / squared.mean(1)).median()
        longer = (plain.length(path.nodes) / line).median()
        lowest = index(path.nodes).amin(1).mean()
        share = path.solution.converged.float().mean()
        print(f"| {eps:g} | {spread:.2f} | {longer:.3f} | {lowest:.3f} | {share:.2f} |")
    axes.set(xlabel="step", ylabel="squared length of the decoded step")
    axes.legend(fontsize=8)
    figure.savefig(out, dpi=130, bbox_inches="tight")
    plt.close(figure)


def soap_bubble(model: DCGAN | WAE, extractor: Classifier, images: Tensor, out: Path, pairs: int = 8) -> None:
    """Ends mirrored in half of their coordinates: what each index says of the middle of the straight line."""
    many = model.prior.sample((1000,))
    others = mirrored(many)
    start, end = many[:pairs], others[:pairs]
    density = StandardNormalIndex(DIM)
    features = torch.cat([extractor(part) for part in images.split(500)])
    scorer = FeatureDensity(features, model.decode, extractor)
    decoded = feature_index(scorer, model.prior.sample((4000,)))
    middle = 0.5 * (many + others)
    print("\nsoap bubble (DCGAN, standard normal prior): mean index at the ends and in the middle of the line\n")
    print("| index | ends | middle | after optimising under it: middle | its curve realism / the line's |")
    print("|---|---|---|---|---|")
    rows: list[tuple[str, Index]] = [
        ("density", density),
        ("two-sided typicality", TwoSidedIndex(density)),
        ("feature", decoded),
    ]
    for name, index in rows:
        # The feature index decodes every point that it looks at.
        pieces = 1 if index is decoded else PIECES
        energy = realism_energy(index.regularised(0.1), model.decode, pieces=pieces)
        solver = replace(SOLVER, max_iterations=100)
        path = optimise(energy, start, end, segments=SEGMENTS, solver=solver)
        line = energy.length(Linear(start, end)(torch.linspace(0, 1, SEGMENTS + 1)))
        gain = (line - path.solution.length).exp().median()
        best = index(path(torch.tensor([0.5]))[:, 0]).mean()
        ends = 0.5 * (index(many).mean() + index(others).mean())
        print(f"| {name} | {ends:.3f} | {index(middle).mean():.3f} | {best:.3f} | {gain:.2f} |", flush=True)
        strips(f"soap bubble, {name} index", model, path, out / f"soap_bubble_{name.split()[0]}.png", pairs=3)


def near_linearity(model: WAE, path: OptimisedPath, out: Path) -> None:
    """Figure 4: how far the optimised paths of the WAE leave the straight line."""
    times = torch.linspace(0, 1, SEGMENTS + 1)
    line = Linear(path.start, path.end)(times)
    span = (path.end - path.start)[:, None]
    share = ((path.nodes - path.start[:, None]) * span).sum(-1, keepdim=True) / span.square().sum(-1, keepdim=True)
    away = (path.nodes - path.start[:, None] - share * span).norm(dim=-1).amax(1) / span.norm(dim=-1)[:, 0]
    plain = CurveEnergy(decoder=model.decode)
    ratio = plain.length(path.nodes) / plain.length(line)
    print("\nfigure 4: near-linearity of the WAE's optimised paths (medians over pairs)\n")
    print("| largest distance from the line / its length | decoded length / the line's |\n|---|---|")
    print(f"| {away.median():.3f} | {ratio.median():.3f} |")
    strips("WAE, semicircle prior", model, path, out)


def run(data: ImageSet, out: Path, epochs: int, pairs: int) -> None:
    """All experiments."""
    images = data.images.float() / (data.levels - 1)
    trained = models(images, out, epochs)
    prior = semicircle(DIM)
    start = prior.sample_given(torch.zeros(pairs, dtype=torch.long))
    end = prior.sample_given(torch.full((pairs,), 2))
    index = density_index(prior)
    squeezed = index.regularised(0.1)

    semi = optimise(
        realism_energy(squeezed, trained["gan_semi"].decode, pieces=PIECES),
        start,
        end,
        segments=SEGMENTS,
        solver=SOLVER,
    )
    strips("DCGAN, semicircle prior", trained["gan_semi"], semi, out / "strips_gan_semicircle.png")
    print("\nfigures 2, 5, 7, 8: realism of the curve, exp(-length), median over pairs\n")
    print("| model | linear | optimised | median length ratio | converged |\n|---|---|---|---|---|")
    report("DCGAN, semicircle", realism_energy(squeezed, trained["gan_semi"].decode, pieces=PIECES), semi)
    normal = StandardNormalIndex(DIM).regularised(0.1)
    a, b = torch.randn(2, pairs, DIM)
    energy = realism_energy(normal, trained["gan_normal"].decode, pieces=PIECES)
    path = optimise(energy, a, b, segments=SEGMENTS, solver=SOLVER)
    strips("DCGAN, standard normal prior", trained["gan_normal"], path, out / "strips_gan_normal.png")
    report("DCGAN, standard normal", energy, path)
    wae = trained["wae_semi"]
    assert isinstance(wae, WAE)
    wae_path = optimise(
        realism_energy(squeezed, wae.decode, pieces=PIECES), start, end, segments=SEGMENTS, solver=SOLVER
    )
    report("WAE, semicircle", realism_energy(squeezed, wae.decode, pieces=PIECES), wae_path)

    realism_profile(index, semi, out / "profile.png")
    plane_figure(index, semi, out / "plane.png")
    step_figure(index, trained["gan_semi"], start[:8], end[:8], out / "steps.png")
    near_linearity(wae, wae_path, out / "strips_wae.png")
    train, test = split(data, [0.85, 0.15], seed=0)
    extractor, accuracy = train_classifier(train, test, seed=0, steps=300, folder=out)
    print(f"\nfeature extractor: a digit classifier of accuracy {accuracy:.3f}")
    soap_bubble(trained["gan_normal"], extractor.eval().requires_grad_(False), images, out)


def report(name: str, energy: CurveEnergy, path: OptimisedPath) -> None:
    """One row on the realism of curves."""
    line = energy.length(Linear(path.start, path.end)(torch.linspace(0, 1, SEGMENTS + 1)))
    found = path.solution
    converged = found.converged.float().mean()
    print(
        f"| {name} | {line.neg().exp().median():.2e} | {found.realism.median():.2e} | "
        f"{(found.length / line).median():.3f} | {converged:.2f} |"
    )


def main() -> None:
    """Parse, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=16)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    run(load_images(options.data), options.out, options.epochs, options.pairs)


if __name__ == "__main__":
    main()
