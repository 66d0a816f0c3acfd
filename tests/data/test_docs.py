"""The Python of docs/data.md runs as it stands, and the page has every named data set."""

import re
from pathlib import Path

from manifoldflow.data import DATA_SETS

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def test_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 1
    exec(blocks[0], {})


def test_the_page_names_every_named_data_set():
    assert all(f"| `{name}` |" in PAGE for name in DATA_SETS)
