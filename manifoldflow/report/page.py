"""The self-contained HTML page: no network access, every picture, style and script inside."""

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from ..evaluation import Evaluation
from ..files import write_text
from .explorer import explorer_data, pair_titles
from .findings import findings, introduction
from .plots import distance_figure, profile_figure, strip_figure, training_figure
from .strips import image_grid, strip
from .table import extractor_text, headline_rows, number, steps_text, training_warning

__all__ = ["content_policy", "inlined", "write_report"]


def _embedded(image: Image.Image) -> dict[str, Any]:
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return {
        "src": "data:image/png;base64," + base64.b64encode(data.getvalue()).decode(),
        "width": image.width,
        "height": image.height,
    }


def _save(figure: Figure, path: Path) -> str:
    figure.savefig(path, dpi=150)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


@dataclass(frozen=True)
class _Strips:
    """The images of a path, (pairs, m, c, h, w)."""

    base: str
    path: str
    images: np.ndarray


def _strip_list(result: Evaluation, images: dict[str, np.ndarray]) -> list[_Strips]:
    """In the table's order."""
    keys = [key for key in images if key.startswith("strips/")]
    return [_Strips(p.base, p.path, images[key]) for p, key in zip(result.profiles, keys, strict=True)]


def write_report(
    result: Evaluation,
    images: dict[str, np.ndarray],
    histories: dict[str, list[tuple[int, float]]],
    folder: Path,
) -> None:
    """Write report.html and figures/*.png into an existing folder.

    Args:
        result: What `evaluate_step` returns.
        images: Its images.npz: "samples/<base>" and "strips/<base>/<method>".
        histories: (epoch, validation bits per dimension) of each base's training.
        folder: Where to.
    """
    pictures = Path(folder) / "figures"
    pictures.mkdir(exist_ok=True)
    levels = result.data.levels
    strips = _strip_list(result, images)
    titled = [(f"{one.base}, {one.path}", one.images) for one in strips]
    _save(strip_figure(titled, result.pair_labels, levels), pictures / "strips.png")
    figures = {
        "profile": _save(profile_figure(result), pictures / "profile.png"),
        "distance": _save(distance_figure(result), pictures / "distance.png"),
        "training": _save(training_figure(histories), pictures / "training.png"),
    }
    samples = []
    for model in result.models:
        draws = torch.from_numpy(images[f"samples/{model.name}"])
        grid = image_grid(draws, levels)
        grid.save(pictures / f"samples-{model.name}.png")
        samples.append({"base": model.base, "count": len(draws), **_embedded(grid)})
    write_text(Path(folder) / "report.html", _page(result, strips, figures, samples))


def _page(result: Evaluation, strips: list[_Strips], figures: dict[str, str], samples: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=PackageLoader("manifoldflow", "report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = number
    style, script = inlined("page.css", "explorer.css"), inlined("chart.js", "explorer.js")
    return environment.get_template("page.html").render(
        title=f"Interpolating {result.data.name}: which path stays where the flow has learned?",
        policy=content_policy(style, script),
        style=style,
        script=script,
        explorer=explorer_data(result),
        headline=headline_rows(result),
        findings=findings(result),
        introduction=introduction(result),
        warning=training_warning(result),
        compared=steps_text(result),
        figures=figures,
        samples=samples,
        pairs=_shown_pairs(result, strips),
        steps=strips[0].images.shape[1],
        extractor=extractor_text(result.extractor),
        settings=json.dumps(_settings(result), indent=2),
        result=result,
    )


def _shown_pairs(result: Evaluation, strips: list[_Strips]) -> list[dict[str, Any]]:
    """Title and strips of each pair."""
    return [
        {
            "title": title,
            "strips": [
                {
                    "base": one.base,
                    "path": one.path,
                    "alt": f"{a} to {b}, {one.base}, {one.path}",
                    **_embedded(strip(torch.from_numpy(one.images[i]), result.data.levels)),
                }
                for one in strips
            ],
        }
        for i, ((a, b), title) in enumerate(zip(result.pair_labels, pair_titles(result)))
    ]


def _settings(result: Evaluation) -> dict[str, Any]:
    return {
        "evaluation": result.settings.to_json(),
        "models": {model.name: model.settings for model in result.models},
        "versions": result.versions,
    }


def inlined(*names: str) -> Markup:
    """The text of the package's style sheets or scripts of these names, one after the other."""
    return Markup("".join((files(__package__) / name).read_text(encoding="utf-8") for name in names))


def content_policy(style: str, script: str) -> str:
    """A Content-Security-Policy that allows pictures as data, this one style sheet and this one script, no more."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_digest(style)}",
            f"script-src {_digest(script)}",
            "require-trusted-types-for 'script'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
