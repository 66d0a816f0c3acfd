"""The self-contained page about points: data, models and paths on a map that can be turned, all inside one file."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ...checks import as_path, check_kind
from ...files import write_text
from ..page import content_policy, inlined
from ..table import number
from .contents import PathShown, PointsPage
from .payload import map_data
from .sentences import points_findings, points_introduction
from .still import still_picture, still_text, typicality_figure
from .views import View, points_of, view_of

__all__ = ["write_points_report"]

_SCRIPTS = {
    "globe": ("vendor/d3-geo.js", "points/globe.js"),
    "plane": ("points/plane.js",),
    "ternary": ("points/plane.js",),
}
_LABELS = {
    "globe": "Globe. The arrow keys turn it, plus and minus zoom, Home goes back to the first view.",
    "plane": "Map of the points.",
    "ternary": "Triangle of compositions.",
}
_HEADINGS = {"globe": "Turn the globe", "plane": "The map", "ternary": "The triangle"}


def write_points_report(page: PointsPage, folder: Path) -> Path:
    """Write report.html and figures/*.png into an existing folder.

    Args:
        page: What it shows.
        folder: Where to.

    Returns:
        The path of report.html: one file, which asks the network for nothing.

    Raises:
        TypeError: `page` is not a `PointsPage`, or `folder` not a path.
    """
    check_kind("page", page, PointsPage)
    folder = as_path("folder", folder)
    pictures = folder / "figures"
    pictures.mkdir(exist_ok=True)
    paths = points_of([path.points for path in page.paths], page.train)
    view = view_of(page.space, page.train, tuple(page.names), paths)
    measured = [path for path in page.paths if path.typicality is not None]
    figures = {"still": _save(still_picture(page, view), pictures / "map.png"), "profile": None}
    if measured:
        figures["profile"] = _save(typicality_figure(measured[:6]), pictures / "typicality.png")
    write_text(folder / "report.html", _html(page, view, measured, figures))
    return folder / "report.html"


def _save(figure: Figure, path: Path) -> str:
    figure.savefig(path, dpi=120)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _html(page: PointsPage, view: View, measured: list[PathShown], figures: dict[str, str | None]) -> str:
    environment = Environment(
        loader=PackageLoader("manifoldflow", "report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = number
    style = inlined("page.css", "explorer.css", "points/points.css")
    script = inlined("chart.js", "points/layers.js", *_SCRIPTS[view.kind], "points/points.js")
    return environment.get_template("points/points.html").render(
        title=f"{page.name[:1].upper()}{page.name[1:]}: which model fits, which path stays close?",
        policy=content_policy(style, script),
        style=style,
        script=script,
        page=page,
        introduction=points_introduction(page, view.place),
        findings=points_findings(page),
        heading=_HEADINGS[view.kind],
        label=_LABELS[view.kind],
        view=view,
        map=map_data(page, view),
        shaded=any(model.shade is not None for model in page.models),
        amount=_amount,
        still_alt=still_text(page),
        measured=measured,
        settings=json.dumps(page.settings, indent=2, default=str),
        **figures,
        **_table(page),
    )


def _amount(layer: dict[str, Any]) -> str:
    """How many points a layer has, and how many of them are drawn."""
    if layer["shown"] == layer["count"]:
        return f" ({layer['count']:,})"
    return f" ({layer['shown']:,} of {layer['count']:,} drawn)"


def _table(page: PointsPage) -> dict[str, Any]:
    """Rows and which columns they need."""
    models = sorted(page.models, key=lambda model: model.certificate.nll.value)
    share = models[0].certificate.copies
    return {
        "models": models,
        "share": share,
        "copies": share > 0,
        "levels": sorted({level for model in models for level, _ in model.calibration}),
        "tested": any(model.two_sample_p is not None for model in models),
        "solved": any(model.certificate.tolerance_effect is not None for model in models),
        "trained": any(model.training_seconds is not None for model in models),
        "by": " and ".join(sorted({model.certificate.mass_by for model in models})),
        "pairs": len(page.paths[0].points) if page.paths else 0,
    }
