"""Figures of an evaluation, drawn with matplotlib's object interface: no global state, no display."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..evaluation import Evaluation
from ..plots.style import COLOURS, figure_with_axes, line_style

__all__ = ["distance_figure", "profile_figure", "strip_figure", "training_figure"]


def _groups(result: Evaluation) -> list[str]:
    return [model.base for model in result.models]


def profile_figure(result: Evaluation) -> Figure:
    """The soap-bubble picture: each path's statistic over time, beside its law under the base.

    A row for each base, a panel for each path: its bands would hide each other in one.
    """
    groups = [[p for p in result.profiles if p.base == base] for base in _groups(result)]
    columns = max(map(len, groups))
    figure = Figure(figsize=(2.5 * columns + 0.6, 2.5 * len(groups) + 0.4), layout="constrained")
    axes = figure.subplots(len(groups), columns, squeeze=False, sharex=True, sharey="row")
    for group, row in zip(groups, axes):
        low, middle, high = group[0].base_quantiles
        for number, (profile, ax) in enumerate(zip(group, row)):
            lower, median, upper = np.array(profile.path_quantiles)
            colour = line_style(number)["color"]
            ax.axhspan(low, high, color="0.85", label="base: 5 to 95 %")
            ax.axhline(middle, color="0.45", linewidth=1, linestyle="--", label="base: median")
            ax.fill_between(profile.times, lower, upper, color=colour, alpha=0.3, linewidth=0, label="path: 5 to 95 %")
            ax.plot(profile.times, median, color=colour, label="path: median")
            ax.set_title(profile.path, fontsize=10)
            ax.set_xlim(0, 1)
            ax.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(f"{group[0].base}\n{group[0].statistic}", fontsize=9)
        for ax in row[len(group) :]:
            ax.set_visible(False)
    for number, group in enumerate(groups):
        for ax in axes[number, : len(group)]:
            if number == len(groups) - 1 or ax.get_subplotspec().colspan.start >= len(groups[number + 1]):
                ax.set_xlabel("path time t")
                ax.tick_params(labelbottom=True)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, columns), frameon=False
    )
    return figure


def distance_figure(result: Evaluation) -> Figure:
    """Frechet distance and bits per dimension of every path over time, with the floor of real images."""
    figure, (left, right) = figure_with_axes(11, 4.0, 2)
    left.axhline(result.floor.frechet, color="0.45", linestyle="--", linewidth=1, label="real images (floor)")
    bases = _groups(result)
    for base in bases:
        for number, profile in enumerate(p for p in result.profiles if p.base == base):
            path = profile.path
            rows = [r for r in result.rows if (r.base, r.path) == (base, path) and r.time not in ("", "all")]
            times = [float(r.time) for r in rows]
            style = {**line_style(number), "color": COLOURS[bases.index(base) % len(COLOURS)]}
            left.plot(times, [r.frechet for r in rows], label=f"{base}, {path}", **style)
            right.plot(times, [math.nan if r.bpd is None else r.bpd for r in rows], **style)
    left.set(xlabel="path time t", ylabel="Fréchet distance (features)", xlim=(0, 1), ylim=(0, None))
    right.set(xlabel="path time t", ylabel="bits per dimension (own flow)", xlim=(0, 1))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def training_figure(histories: dict[str, list[tuple[int, float]]]) -> Figure:
    """Validation bits per dimension over epochs, one curve per base."""
    figure, (ax,) = figure_with_axes(6.5, 3.4)
    lowest = min(bpd for history in histories.values() for _, bpd in history)
    for i, (base, history) in enumerate(histories.items()):
        epochs, bpd = zip(*history)
        ax.plot(epochs, bpd, color=COLOURS[i % len(COLOURS)], label=f"{base} (best {min(bpd):.3f})")
    ax.set(xlabel="epoch", ylabel="validation bits per dimension", ylim=(lowest - 0.1, lowest + 1.5))
    ax.legend(frameon=False, fontsize=8)
    return figure


def strip_figure(
    strips: list[tuple[str, np.ndarray]], labels: Sequence[tuple[int | str, int | str]], levels: int
) -> Figure:
    """The first pairs by every path: one block per path, one row per pair, one column per time.

    Args:
        strips: Title and images (pairs, m, c, h, w) of each path.
        labels: Classes of each pair's end points.
        levels: Values a pixel can take.
    """
    pairs, steps = min(4, strips[0][1].shape[0]), strips[0][1].shape[1]
    columns = min(2, len(strips))
    rows = -(-len(strips) // columns)
    figure = Figure(figsize=(columns * steps * 0.52, rows * (pairs * 0.52 + 0.55)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for (title, images), ax in zip(strips, axes):
        ax.imshow(_mosaic(images[:pairs], levels), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        side = images.shape[-1] + 1
        ax.set_title(title, fontsize=9)
        ax.set_xticks([side * (i + 0.5) for i in (0, steps // 2, steps - 1)], ["t = 0", "0.5", "1"], fontsize=7)
        ax.set_yticks(
            [(images.shape[-2] + 1) * (i + 0.5) for i in range(pairs)],
            [f"{a} → {b}" for a, b in labels[:pairs]],
            fontsize=7,
        )
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    for ax in list(axes):
        ax.set_axis_off()
    return figure


def _mosaic(images: np.ndarray, levels: int) -> np.ndarray:
    """(rows, columns, c, h, w) to one picture (H, W, c) in [0, 1] with a line of mid-grey between tiles."""
    x = np.pad(images / (levels - 1), [(0, 0), (0, 0), (0, 0), (0, 1), (0, 1)], constant_values=0.5)
    rows, columns, c, h, w = x.shape
    return x.transpose(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
