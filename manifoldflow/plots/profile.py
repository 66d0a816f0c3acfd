"""How a quantity changes along a path: norm, log density or typicality against time, beside the base's own spread."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ..realism import typicality
from .style import COLOURS, Drawing, own_axes, shade

__all__ = ["plot_path"]

_QUANTITIES = {
    "norm": "norm",
    "density": "log density under the base (nats)",
    "typicality": "typicality under the base",
}
_DRAWS = 2000
_BAND = (0.05, 0.5, 0.95)


def plot_path(
    points: Any,
    times: Any = None,
    *,
    quantity: str = "norm",
    base: Any = None,
    label: str | None = None,
    ax: Axes | None = None,
    **line: Any,
) -> Drawing:
    """Draw a quantity of the points of paths against time, with the 5 to 95 % band of the base's draws.

    Of several paths the median is drawn, between dotted lines at 5 and 95 % of them.

    Args:
        points: A path's points `(m, *event)`, or those of several `(*batch, m, *event)`.
        times: Times `(m,)`; equally spaced from 0 to 1 by default.
        quantity: "norm", "density" (log density under the base) or "typicality" (two-sided, in [0, 1]).
        base: The distribution to compare with; "norm" does without.
        label: For `ax.legend()`.
        ax: Axes to draw on; new ones by default. The base's band is drawn once per axes.
        line: Passed on to matplotlib's `plot` of the curve.

    Returns:
        What was drawn.

    Raises:
        ValueError: An unknown quantity, one that needs a base without it, or times that do not fit the points.

    Example:
        >>> path = mf.interpolate(torch.randn(8), torch.randn(8), method="linear")
        >>> plot_path(path, base=mf.distributions.Gaussian(torch.zeros(8)))
        Drawing(0 sets of points, no density, 1 lines of paths)
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity: expected one of {', '.join(_QUANTITIES)}; got {quantity!r}")
    if base is None and quantity != "norm":
        raise ValueError(f"base: the quantity {quantity} is that of a base distribution, got None; pass base=...")
    points = torch.as_tensor(points).detach()
    event_dim = 1 if base is None else len(base.event_shape)
    if points.ndim < event_dim + 1:
        raise ValueError(f"points: expected shape (*batch, m, *event), got {tuple(points.shape)}")
    count = points.shape[-event_dim - 1]
    t = np.linspace(0, 1, count) if times is None else np.asarray(torch.as_tensor(times).detach().cpu(), dtype=float)
    if t.shape != (count,):
        raise ValueError(f"times: expected shape ({count},), one for each point of the path, got {t.shape}")
    drawing = Drawing(own_axes(ax, None, (5.2, 3.4)))
    _draw_base(drawing, quantity, base)
    values = _values(quantity, base, points, event_dim).reshape(-1, count)
    low, middle, high = np.quantile(values, _BAND, axis=0)
    if {"color", "c"}.isdisjoint(line):
        line["color"] = COLOURS[(len(drawing.ax.get_lines()) - _marked(drawing.ax)) % len(COLOURS)]
    drawing.paths += drawing.ax.plot(t, middle, label=label, **{"linewidth": 2} | line)
    if len(values) > 1:
        colour = drawing.paths[0].get_color()  # type: ignore[attr-defined]
        for edge in (low, high):  # lines, since filled bands of several methods mix to brown
            drawing.background += drawing.ax.plot(t, edge, color=colour, linewidth=0.8, linestyle=":", gid=_EDGE)
    return drawing


def _values(quantity: str, base: Any, points: Tensor, event_dim: int) -> np.ndarray:
    if quantity == "norm":
        values = torch.linalg.vector_norm(points.flatten(points.ndim - event_dim), dim=-1)
    elif quantity == "density":
        values = base.log_prob(points)
    else:
        values = typicality(base, points)
    return values.detach().double().cpu().numpy()


_GID, _EDGE = "manifoldflow-base", "manifoldflow-band"


def _marked(ax: Axes) -> int:
    """How many lines of the axes are not curves of their own: the base's and the edges of bands."""
    return sum(line.get_gid() in (_GID, _EDGE) for line in ax.get_lines())


def _draw_base(drawing: Drawing, quantity: str, base: Any) -> None:
    ax = drawing.ax
    ax.set(xlabel="path time t", ylabel=_QUANTITIES[quantity], xlim=(0, 1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    if base is None or _marked(ax):
        return
    if quantity == "typicality":  # that of draws is uniform
        low, middle, high = _BAND
        ax.set_ylim(0, 1.02)
    else:
        with torch.no_grad():
            draws = base.sample((_DRAWS,))
        low, middle, high = np.quantile(_values(quantity, base, draws, len(base.event_shape)), _BAND)
    drawing.background.append(ax.axhspan(low, high, color=shade(0.13), zorder=0, label="base: 5 to 95 %"))
    median = ax.axhline(middle, color=shade(0.55), linewidth=1, linestyle="--", zorder=1, label="base: median")
    median.set_gid(_GID)
    drawing.background.append(median)
