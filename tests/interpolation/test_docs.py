"""The examples of the documentation run."""

import re
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "interpolation.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert tuple(names["points"].shape) == (8, 9, 4, 16, 16)
    assert tuple(names["walks"].shape) == (5, 8, 33, 4, 16, 16)


def test_the_page_lists_every_method():
    from manifoldflow.interpolation import METHODS

    table = (DOCS / "interpolation.md").read_text()
    assert all(f"`{name}`" in table for name in METHODS)


def test_the_example_runs(capsys):
    found = runpy.run_path(str(DOCS / "examples" / "latent_diffusion_interpolation.py"))
    assert tuple(found["path"].shape) == (9, 4, 64, 64)
    assert tuple(found["walks"].shape) == (3, 9, 4, 64, 64)
    assert abs(float(found["norms"].mean()) / 128 - 1) < 0.02
    assert "norm along the path" in capsys.readouterr().out
