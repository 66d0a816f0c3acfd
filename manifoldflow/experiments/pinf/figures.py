"""Figures of an experiment over priors, paths and seeds."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from ...files import atomic_path
from ...plots.style import figure_with_axes, line_style

__all__ = ["write_experiment_figures"]

_PANELS: dict[str, tuple[str, str, str, str]] = {
    "typicality.png": ("z_score", "base log-density (sd from typical)", "zero", "typical of the base"),
    "speed.png": ("pixel_speed", "speed (pixels per unit of t)", "", ""),
    "nearer-end.png": ("nearer_end", "distance to the nearer end (pixels)", "", ""),
    "nearest-training.png": (
        "nearest_training",
        "distance to the nearest\ntraining image (pixels)",
        "floor",
        "real test images",
    ),
}


def write_experiment_figures(tables: dict[str, Any], folder: Path) -> None:
    """Write one figure per quantity, one panel per prior, one curve per path.

    Curves are means over seeds, with a band of one standard deviation.

    Args:
        tables: What `experiment_tables` returns.
        folder: Where typicality.png, speed.png, nearer-end.png and nearest-training.png go.
    """
    priors = list(dict.fromkeys(one["prior"] for one in tables["series"]))
    for file, (key, label, level, name) in _PANELS.items():
        figure, axes = figure_with_axes(2.9 * len(priors) + 0.6, 3.5, len(priors), sharey=True)
        for ax, prior in zip(axes, priors):
            group = [one for one in tables["series"] if one["prior"] == prior]
            if level:
                height = tables["floor"]["nearest_training"] if level == "floor" else 0.0
                ax.axhline(height, color="0.45", linewidth=1, linestyle="--", label=name)
            for number, one in enumerate(group):
                centre = [value["mean"] for value in one[key]]
                style = line_style(number)
                times = one["times"]
                if len(centre) < len(times):  # between times
                    times = [(a + b) / 2 for a, b in pairwise(times)]
                ax.plot(times, centre, label=one["path"], **style)
                if one[key][0]["sd"] is not None:
                    low = [value["mean"] - value["sd"] for value in one[key]]
                    high = [value["mean"] + value["sd"] for value in one[key]]
                    ax.fill_between(times, low, high, color=style["color"], alpha=0.2, linewidth=0)
            ax.set(title=group[0]["base"], xlabel="path time t", xlim=(0, 1))
            ax.title.set_fontsize(10)
            ax.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, ncols=2)
        axes[0].set_ylabel(label)
        with atomic_path(Path(folder) / file) as temporary:
            figure.savefig(temporary, dpi=150, format="png")
