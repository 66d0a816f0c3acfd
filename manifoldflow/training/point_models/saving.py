"""Models of points on disk: tensors as safetensors, everything else as JSON. Loading runs no code of the file."""

import math
from pathlib import Path
from typing import Any

from ...checks import as_path, check_choice
from ...data.layouts import Layout, layout_from
from ...errors import DataError
from ...files import damaged, read_json, write_json
from ..saved import AGAIN, MODEL_WEIGHTS, POINTS, check_described_size, load_weights, save_weights
from .interface import POINT_MODELS, PointModel, Shapes, seeded

__all__ = ["load_point_model", "save_point_model"]


def save_point_model(folder: Path, model: PointModel, layout: Layout) -> None:
    """Write `model.safetensors` and `points.json` into an existing folder, each whole or not at all.

    Args:
        folder: Where to.
        model: Any `PointModel`.
        layout: How its points stand in files.

    Raises:
        OSError: Disk full, unwritable folder ...; names the file.
    """
    folder = as_path("folder", folder)
    save_weights(folder / MODEL_WEIGHTS, model)
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    content = {"model": model.kind, "fields": model.describe(), "layout": layout.to_json(), "shapes": shapes}
    write_json(folder / POINTS, content)


def load_point_model(folder: Path) -> tuple[PointModel, Layout]:
    """Read what `save_point_model` wrote: the model, in eval mode and the dtype it was saved in, and the layout.

    Raises:
        DataError: A file is missing, damaged, or the weights are those of another model.
    """
    folder = as_path("folder", folder)
    path = folder / POINTS
    if not path.is_file():
        raise DataError(f"model: {folder} holds no {POINTS}; give the folder that 'manifoldflow train --space' wrote")
    content: Any = read_json(path)
    with damaged(path, AGAIN):
        kind = POINT_MODELS[check_choice("model", content["model"], POINT_MODELS)]
        layout = layout_from(content["layout"])
        shapes: Shapes = {name: tuple(map(int, shape)) for name, shape in content["shapes"].items()}
        numbers = sum(math.prod(shape) for shape in shapes.values())
        check_described_size(folder / MODEL_WEIGHTS, numbers, path.name)
        with seeded(0):
            model = kind.build(layout.space, content["fields"], shapes)
    load_weights(folder / MODEL_WEIGHTS, model, path.name)
    return model.eval(), layout
